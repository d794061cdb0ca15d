# SPDX-License-Identifier: Apache-2.0
"""The storage node's file system, and what a power loss leaves of it.

A file's content is safe once the file was synced, and its name once its folder was. Of
what was not, a file system may keep some and lose some. The driver's own code runs over
it, by a path and a module ``os`` that are like the real ones as far as it uses them.
"""

import contextlib
import dataclasses
import errno
import itertools
import os
import pathlib
from collections.abc import Iterator
from typing import Any

from tests.simulate.schedule import Scheduler

#: In which ways a call that writes can fail.
_WAYS = ("ENOSPC", "EIO")

_numbers = itertools.count(1)


@dataclasses.dataclass(eq=False)
class File:
    """A file: what it has, and what it has after a power loss."""

    content: bytes = b""
    synced: bytes = b""
    number: int = dataclasses.field(default_factory=lambda: next(_numbers))
    changed: int = 0


@dataclasses.dataclass(eq=False)
class Folder:
    """A folder: the names in it, and those after a power loss."""

    names: "dict[str, File | Folder]" = dataclasses.field(default_factory=dict)
    synced: "dict[str, File | Folder]" = dataclasses.field(default_factory=dict)


class Disk:
    """A file system.

    Args:
        scheduler: has the turns.

    Attributes:
        failed: how often it has failed.
        kept: the names of files that could not be deleted.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.failed = 0
        self.kept: set[str] = set()
        self.root = Folder()
        self._open: dict[int, File | Folder] = {}
        self._descriptors = itertools.count(1 << 20)
        self._changes = itertools.count(1)

    def find(self, path: pathlib.PurePath) -> File | Folder:
        """Give what is at a path.

        Raises:
            OSError: nothing is.
        """
        found: File | Folder = self.root
        for part in path.parts[1:]:
            if not isinstance(found, Folder):
                return _refuse(errno.ENOTDIR, path)
            if part not in found.names:
                return _refuse(errno.ENOENT, path)
            found = found.names[part]
        return found

    def folder(self, path: pathlib.PurePath) -> Folder:
        """Give the folder at a path."""
        found = self.find(path)
        return found if isinstance(found, Folder) else _refuse(errno.ENOTDIR, path)

    def change(self, what: str, path: pathlib.PurePath) -> None:
        """Make the step before a change."""
        way = self.scheduler.step(f"{what} {_short(path)}", _WAYS)
        if way:
            self.failed += 1
            _refuse(getattr(errno, way), path)

    def open(self, path: pathlib.PurePath, flags: int) -> int:
        """Open a folder, or a file to be written anew."""
        if flags & os.O_CREAT:
            self.change("create", path)
            parent = self.folder(path.parent)
            if path.name in parent.names:
                _refuse(errno.EEXIST, path)
            parent.names[path.name] = File()
        number = next(self._descriptors)
        self._open[number] = self.find(path)
        return number

    def write(self, number: int, data: bytes) -> None:
        """Write a file that is open."""
        file = self._open[number]
        assert isinstance(file, File)
        way = self.scheduler.step("write", _WAYS)
        if way:
            self.failed += 1
            raise OSError(getattr(errno, way), os.strerror(getattr(errno, way)))
        file.content += data
        file.changed = next(self._changes)

    def sync(self, number: int) -> None:
        """Let what is open outlive a power loss."""
        found = self._open[number]
        kind = "file" if isinstance(found, File) else "folder"
        if self.scheduler.step(f"fsync {kind}", ("EIO",)):
            self.failed += 1
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        if isinstance(found, File):
            found.synced = found.content
        else:
            found.synced = dict(found.names)

    def close(self, number: int) -> None:
        """Close what is open."""
        self._open.pop(number, None)

    def lose_power(self, how: int) -> None:
        """Forget what was not synced.

        Args:
            how: 0 forgets all of it, 1 keeps all names, others some of them.
        """
        self._open.clear()
        self._lose(self.root, how)

    def _lose(self, folder: Folder, how: int) -> None:
        both = sorted({*folder.names, *folder.synced})
        left: dict[str, File | Folder] = {}
        for number, name in enumerate(both):
            keeps = how == 1 or (how > 1 and (number + how) % 2 == 0)
            found = (folder.names if keeps else folder.synced).get(name)
            if found is not None:
                left[name] = found
        folder.names, folder.synced = left, dict(left)
        for one in left.values():
            if isinstance(one, Folder):
                self._lose(one, how)
            else:
                one.content = one.synced

    def walk(self) -> Iterator[tuple[str, File]]:
        """Give all files, by their paths."""
        yield from _walk("", self.root)


def _walk(path: str, folder: Folder) -> Iterator[tuple[str, File]]:
    for name, found in sorted(folder.names.items()):
        if isinstance(found, Folder):
            yield from _walk(f"{path}/{name}", found)
        else:
            yield f"{path}/{name}", found


def _refuse(number: int, path: object) -> Any:
    raise OSError(number, os.strerror(number), str(path))


def _short(path: pathlib.PurePath) -> str:
    """Give a path as people can tell it from others."""
    return path.name if len(path.name) < 16 else f"{path.name[:8]}..{path.suffix}"


class SimPath(pathlib.PurePosixPath):
    """A path on the disk of the run; see :class:`pathlib.Path`."""

    #: The disk of the run under way.
    disk: Disk

    def exists(self) -> bool:
        with contextlib.suppress(OSError):
            self.disk.find(self)
            return True
        return False

    def is_dir(self) -> bool:
        with contextlib.suppress(OSError):
            return isinstance(self.disk.find(self), Folder)
        return False

    def mkdir(
        self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False
    ) -> None:
        if parents and self.parent != self and not self.parent.exists():
            self.parent.mkdir(mode, parents=True, exist_ok=True)
        folder = self.disk.folder(self.parent)
        if self.name in folder.names:
            if not exist_ok:
                _refuse(errno.EEXIST, self)
            return
        self.disk.change("mkdir", self)
        self.disk.folder(self.parent).names.setdefault(self.name, Folder())

    def iterdir(self) -> "Iterator[SimPath]":
        return iter([self / name for name in self.disk.folder(self).names])

    def read_bytes(self) -> bytes:
        found = self.disk.find(self)
        return found.content if isinstance(found, File) else _refuse(errno.EISDIR, self)

    def stat(self) -> os.stat_result:
        found = self.disk.find(self)
        if isinstance(found, Folder):
            return os.stat_result((0o40700, 0, 0, 1, 0, 0, 0, 0, 0, 0))
        # By st_mtime_ns it is told whether the file is another.
        times: Any = (0o100600, found.number, 0, 1, 0, 0, 0, 0, found.changed, 0)
        return os.stat_result(times, {"st_mtime_ns": found.changed})

    def unlink(self, missing_ok: bool = False) -> None:
        names = self.disk.folder(self.parent).names
        if self.name not in names:
            if not missing_ok:
                _refuse(errno.ENOENT, self)
            return
        try:
            self.disk.change("unlink", self)
        except OSError:
            self.disk.kept.add(str(self))
            raise
        names.pop(self.name, None)

    def replace(self, target: "SimPath") -> None:
        self.disk.change("rename", self)
        names = self.disk.folder(self.parent).names
        if self.name not in names:
            _refuse(errno.ENOENT, self)
        self.disk.folder(target.parent).names[target.name] = names.pop(self.name)

    def rmdir(self) -> None:
        folder = self.disk.folder(self)
        self.disk.change("rmdir", self)
        if folder.names:
            _refuse(errno.ENOTEMPTY, self)
        self.disk.folder(self.parent).names.pop(self.name, None)


class _Writing:
    """A file that is open to be written."""

    def __init__(self, disk: Disk, number: int) -> None:
        self._disk, self._number = disk, number

    def write(self, data: bytes) -> None:
        self._disk.write(self._number, data)

    def flush(self) -> None: ...

    def fileno(self) -> int:
        return self._number

    def __enter__(self) -> "_Writing":
        return self

    def __exit__(self, *error: object) -> None:
        self._disk.close(self._number)


class SimOs:
    """What the driver uses of :mod:`os`, on the disk of the run."""

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def open(self, path: SimPath, flags: int, mode: int = 0o777) -> int:
        return SimPath.disk.open(path, flags)

    def fdopen(self, number: int, mode: str) -> _Writing:
        return _Writing(SimPath.disk, number)

    def fsync(self, number: int) -> None:
        SimPath.disk.sync(number)

    def close(self, number: int) -> None:
        SimPath.disk.close(number)

    def listdir(self, path: str) -> list[str]:
        return list(SimPath.disk.folder(SimPath(path)).names)


class SimShutil:
    """What the driver uses of :mod:`shutil`."""

    def rmtree(self, path: SimPath) -> None:
        for inner in list(path.iterdir()):
            inner.unlink()
        path.rmdir()
