# SPDX-License-Identifier: Apache-2.0
"""Mounts an imitated configfs in this process, so that real code runs over it.

The functions of ``os`` that lead to a file are replaced for a time: those below the
mount point reach the imitation, and all others the real file system. So pathlib, and
all of ``privsep`` down to its ``files``, run as they are.
"""

import contextlib
import errno
import itertools
import os
import stat
import threading
from collections.abc import Callable, Container, Iterator
from typing import Any

from tests.unit.privsep.configfs import Configfs, Folder, Found, refuse

POINT = "/sys/kernel/config"

#: The functions of ``os`` that are replaced.
_CALLS = (
    *("mkdir", "rmdir", "symlink", "unlink", "readlink", "listdir", "scandir"),
    *("stat", "lstat", "open", "read", "write", "close"),
)

#: Descriptors of the imitation; the kernel gives small ones.
_descriptors = itertools.count(1 << 24)


class KilledError(BaseException):
    """The process was killed. No ``except`` and no ``finally`` does anything more."""


class Entry:
    """What ``os.scandir`` gives."""

    def __init__(self, folder: Folder, name: str, path: str) -> None:
        self._folder, self.name, self.path = folder, name, path

    def is_symlink(self) -> bool:
        return self.name in self._folder.links

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        return self.name in self._folder.folders or (
            follow_symlinks and self.is_symlink()
        )


class Mount:
    """A configfs, mounted.

    Attributes:
        changes: how many calls have changed something, or tried to.
        kill_at: the number of the change, from 0, at which the process is killed:
            the change is not made, and nothing more is done; None for never.
        changed: called after each change.
    """

    def __init__(self, configfs: Configfs, devices: Container[str]) -> None:
        self._configfs, self._devices = configfs, devices
        self._open: dict[int, Found] = {}
        self._lock = threading.RLock()
        self.changes = 0
        self.kill_at: int | None = None
        self.changed: Callable[[], object] | None = None

    @contextlib.contextmanager
    def mounted(self) -> Iterator[None]:
        """Let this process see the imitation."""
        real = {name: getattr(os, name) for name in _CALLS}
        for name in _CALLS:
            setattr(os, name, self._beside(name, real[name]))
        try:
            yield
        finally:
            for name in _CALLS:
                setattr(os, name, real[name])

    def _beside(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        """Give a function that makes a call here, or the real one elsewhere."""
        mine = getattr(self, f"_os_{name}")
        # The place of a link, and not what it says, decides which call it is.
        position = 1 if name == "symlink" else 0

        def call(*arguments: Any, **named: Any) -> Any:
            if not self._is_mine(arguments[position] if arguments else None):
                return real(*arguments, **named)
            with self._lock:
                return mine(*arguments, **named)

        return call

    def _is_mine(self, where: object) -> bool:
        if isinstance(where, int):
            return where in self._open
        if not isinstance(where, str | os.PathLike):
            return False
        path = os.fspath(where)
        return path == POINT or path.startswith(f"{POINT}/") or path in self._devices

    def _change(self, call: Callable[..., Any], *arguments: Any) -> Any:
        if self.kill_at is not None and self.changes >= self.kill_at:
            raise KilledError
        self.changes += 1
        result = call(*arguments)
        if self.changed is not None:
            self.changed()
        return result

    def _os_mkdir(self, path: Any, mode: int = 0o777) -> None:
        with _naming(path):
            self._change(self._configfs.mkdir, _below(path))

    def _os_rmdir(self, path: Any) -> None:
        with _naming(path):
            self._change(self._configfs.rmdir, _below(path))

    def _os_symlink(
        self, to: Any, path: Any, target_is_directory: bool = False
    ) -> None:
        with _naming(to, path):
            if not str(to).startswith(f"{POINT}/"):
                os.stat(to)  # what is on another file system has to be there, too
                refuse(errno.EPERM)
            self._change(self._configfs.symlink, _below(to), _below(path))

    def _os_unlink(self, path: Any) -> None:
        with _naming(path):
            self._change(self._configfs.unlink, _below(path))

    def _os_readlink(self, path: Any) -> str:
        with _naming(path):
            if str(path) in self._devices:
                refuse(errno.EINVAL)
            return self._configfs.readlink(_below(path))

    def _os_listdir(self, path: Any) -> list[str]:
        with _naming(path):
            return self._configfs.folder(_below(path)).names

    @contextlib.contextmanager
    def _entries(self, path: Any) -> Iterator[Iterator[Entry]]:
        folder = self._configfs.folder(_below(path))
        yield iter([Entry(folder, name, f"{path}/{name}") for name in folder.names])

    def _os_scandir(self, path: Any) -> Any:
        with _naming(path):
            self._configfs.folder(_below(path))
            return self._entries(path)

    def _os_stat(self, path: Any, *, follow_symlinks: bool = True) -> os.stat_result:
        with _naming(path):
            return os.stat_result((self._mode(path, follow_symlinks), *[0] * 9))

    def _os_lstat(self, path: Any) -> os.stat_result:
        return self._os_stat(path, follow_symlinks=False)

    def _mode(self, path: Any, follow: bool) -> int:
        if str(path) in self._devices:
            return stat.S_IFBLK | 0o660
        if not follow and _below(path) != "." and self._configfs.is_link(_below(path)):
            return stat.S_IFLNK | 0o777
        found = self._configfs.find(_below(path))
        return stat.S_IFDIR | 0o755 if isinstance(found, Folder) else found.mode

    def _os_open(self, path: Any, flags: int, mode: int = 0o777) -> int:
        with _naming(path):
            found = self._configfs.open(_below(path), flags)
        descriptor = next(_descriptors)
        self._open[descriptor] = found
        return descriptor

    def _os_read(self, descriptor: int, length: int) -> bytes:
        return self._configfs.read(self._open[descriptor])[:length]

    def _os_write(self, descriptor: int, data: bytes) -> int:
        written: int = self._change(self._configfs.write, self._open[descriptor], data)
        return written

    def _os_close(self, descriptor: int) -> None:
        del self._open[descriptor]


def _below(path: Any) -> str:
    """Give a path below the mount point."""
    return str(path)[len(POINT) + 1 :] or "."


@contextlib.contextmanager
def _naming(path: Any, second: Any = None) -> Iterator[None]:
    """Name the paths in an error, as ``os`` does."""
    try:
        yield
    except OSError as error:
        second = None if second is None else str(second)
        raise OSError(error.errno, error.strerror, str(path), None, second) from None
