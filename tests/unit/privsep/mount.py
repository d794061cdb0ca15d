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
CALLS = (
    *("mkdir", "rmdir", "symlink", "unlink", "readlink", "listdir", "scandir"),
    *("stat", "lstat", "open", "read", "write", "close"),
)

#: The first descriptor of the imitation; the kernel gives smaller ones.
FIRST = 1 << 24

_descriptors = itertools.count(FIRST)


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
        #: By descriptor, the path below the mount point, and what is there.
        self._open: dict[int, tuple[str, Found]] = {}
        self._lock = threading.RLock()
        self.changes = 0
        self.kill_at: int | None = None
        self.changed: Callable[[], object] | None = None

    @contextlib.contextmanager
    def mounted(self) -> Iterator[None]:
        """Let this process see the imitation."""
        real = {name: getattr(os, name) for name in CALLS}
        for name in CALLS:
            setattr(os, name, beside(name, real[name], lambda: self))
        try:
            yield
        finally:
            for name in CALLS:
                setattr(os, name, real[name])

    def call(self, name: str, *arguments: Any, **named: Any) -> Any:
        """Make a call of ``os`` to what is here."""
        with self._lock:
            return getattr(self, f"_os_{name}")(*arguments, **named)

    def has(self, where: object) -> bool:
        """Say whether a path, or what is open by a descriptor, is here."""
        if isinstance(where, int):
            return where in self._open
        if not isinstance(where, str | os.PathLike):
            return False
        path = os.fspath(where)
        return path == POINT or path.startswith(f"{POINT}/") or path in self._devices

    def _change(
        self, what: str, path: str, call: Callable[..., Any], *arguments: Any
    ) -> Any:
        """Make a change of what is at a path below the mount point, by a call.

        ``what`` names it in a word.
        """
        if self.kill_at is not None and self.changes >= self.kill_at:
            raise KilledError
        self.changes += 1
        result = call(*arguments)
        if self.changed is not None:
            self.changed()
        return result

    def _os_mkdir(self, path: Any, mode: int = 0o777) -> None:
        with _naming(path):
            self._change("mkdir", _below(path), self._configfs.mkdir, _below(path))

    def _os_rmdir(self, path: Any) -> None:
        with _naming(path):
            self._change("rmdir", _below(path), self._configfs.rmdir, _below(path))

    def _os_symlink(
        self, to: Any, path: Any, target_is_directory: bool = False
    ) -> None:
        with _naming(to, path):
            if not str(to).startswith(f"{POINT}/"):
                os.stat(to)  # what is on another file system has to be there, too
                refuse(errno.EPERM)
            link = self._configfs.symlink
            self._change("symlink", _below(path), link, _below(to), _below(path))

    def _os_unlink(self, path: Any) -> None:
        with _naming(path):
            self._change("unlink", _below(path), self._configfs.unlink, _below(path))

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
        self._open[descriptor] = _below(path), found
        return descriptor

    def _os_read(self, descriptor: int, length: int) -> bytes:
        _, found = self._open[descriptor]
        return self._configfs.read(found)[:length]

    def _os_write(self, descriptor: int, data: bytes) -> int:
        path, found = self._open[descriptor]
        write = self._configfs.write
        written: int = self._change("write", path, write, found, data)
        return written

    def _os_close(self, descriptor: int) -> None:
        del self._open[descriptor]


def beside(
    name: str, real: Callable[..., Any], of: Callable[[], Mount | None]
) -> Callable[..., Any]:
    """Give a function that makes a call to an imitation, or the real one elsewhere.

    Args:
        name: of the call.
        real: makes the real one.
        of: gives the imitation that is mounted now; None for none.
    """
    # The place of a link, and not what it says, decides which call it is.
    position = 1 if name == "symlink" else 0

    def call(*arguments: Any, **named: Any) -> Any:
        mount = of()
        if mount is None or not mount.has(arguments[position] if arguments else None):
            return real(*arguments, **named)
        return mount.call(name, *arguments, **named)

    return call


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
