# SPDX-License-Identifier: Apache-2.0
"""An imitation of configfs: folders that are objects, links that bind them.

The rules are those of fs/configfs/dir.c, symlink.c and file.c of Linux. What an object
does when it is made, bound, read, written or removed is its own affair, as in the
kernel: the subclasses of :class:`Folder` say it (``target_core``, ``iscsi_target``).
"""

import dataclasses
import errno
import os
import re
import stat
from collections.abc import Callable
from typing import NoReturn

#: What an attribute can show and take (PAGE_SIZE, and SIMPLE_ATTR_SIZE - 1).
PAGE = 4096
_MOST = PAGE - 1


def refuse(number: int) -> NoReturn:
    """End a system call with an error number."""
    raise OSError(number, os.strerror(number))


@dataclasses.dataclass(frozen=True)
class Attribute:
    """A file: ``show`` gives its content, ``store`` takes what is written; or None."""

    show: Callable[[], str] | None
    store: Callable[[str], None] | None = None

    @property
    def mode(self) -> int:
        """The mode of the file."""
        readable, writable = self.show is not None, self.store is not None
        return stat.S_IFREG | 0o444 * readable | 0o200 * writable


class Folder:
    """A folder, and the object of the kernel's that it stands for."""

    def __init__(self) -> None:
        self.name = ""
        self.parent: Folder | None = None
        self.is_default = False
        self.folders: dict[str, Folder] = {}
        self.links: dict[str, Folder] = {}
        self.attributes: dict[str, Attribute] = {}
        self.links_here = 0

    def make_group(self, name: str) -> "Folder":
        """Make the object that a new folder stands for."""
        refuse(errno.EPERM)

    def allow_link(self, to: "Folder") -> None:
        """Bind another object to this one, if that may be."""
        refuse(errno.EPERM)

    def drop_link(self, to: "Folder") -> None:
        """Undo the binding of another object to this one."""

    def release(self) -> None:
        """End the object: its folder is gone."""

    def add(self, name: str, folder: "Folder") -> None:
        """Put a folder into this one."""
        folder.name, folder.parent = name, self
        self.folders[name] = folder

    def add_default(self, name: str, folder: "Folder | None" = None) -> "Folder":
        """Put a folder into this one that comes and goes with it."""
        made = Folder() if folder is None else folder
        made.is_default = True
        self.add(name, made)
        return made

    @property
    def names(self) -> list[str]:
        """The names of all that is in it."""
        return [*self.folders, *self.links, *self.attributes]

    @property
    def path(self) -> tuple[str, ...]:
        """The names on the way from the root, the root's not included."""
        return () if self.parent is None else (*self.parent.path, self.name)


Found = Folder | Attribute


class Configfs:
    """A configfs, by the system calls that lead to it.

    Paths are relative to where it is mounted. What a call is refused with comes as an
    OSError with the kernel's number.
    """

    def __init__(self) -> None:
        self.root = Folder()

    def find(self, path: str, *, follow: bool = True) -> Found:
        """Give what is at a path; a link is followed unless it is the last and not."""
        found: Found = self.root
        parts = [part for part in path.split("/") if part != "."]
        for number, part in enumerate(parts, 1):
            if not isinstance(found, Folder):
                refuse(errno.ENOTDIR)
            if part in found.links and (follow or number < len(parts)):
                found = found.links[part]
            elif part in found.folders:
                found = found.folders[part]
            elif part in found.attributes:
                found = found.attributes[part]
            else:
                refuse(errno.ENOENT)
        return found

    def folder(self, path: str) -> Folder:
        """Give a folder."""
        found = self.find(path)
        return found if isinstance(found, Folder) else refuse(errno.ENOTDIR)

    def _place(self, path: str) -> tuple[Folder, str]:
        parent, _, name = path.rpartition("/")
        return self.folder(parent or "."), name

    def is_link(self, path: str) -> bool:
        """Say whether a link is at a path."""
        folder, name = self._place(path)
        return name in folder.links

    def mkdir(self, path: str) -> None:
        """Make an object."""
        folder, name = self._place(path)
        if name in folder.names:
            refuse(errno.EEXIST)
        folder.add(name, folder.make_group(name))

    def rmdir(self, path: str) -> None:
        """Remove an object."""
        parent, name = self._place(path)
        if name in parent.links or name in parent.attributes:
            refuse(errno.ENOTDIR)
        folder = self.folder(path)
        if folder.is_default:
            refuse(errno.EPERM)
        _see_that_nothing_holds(folder)
        del parent.folders[name]
        folder.release()

    def symlink(self, to: str, path: str) -> None:
        """Bind one object to another."""
        folder, name = self._place(path)
        if name in folder.names:
            refuse(errno.EEXIST)
        target = self.folder(to)
        folder.allow_link(target)
        folder.links[name] = target
        target.links_here += 1

    def unlink(self, path: str) -> None:
        """Undo a binding."""
        folder, name = self._place(path)
        if name in folder.folders:
            refuse(errno.EISDIR)
        if name in folder.attributes:
            refuse(errno.EPERM)
        if name not in folder.links:
            refuse(errno.ENOENT)
        target = folder.links.pop(name)
        folder.drop_link(target)
        target.links_here -= 1

    def readlink(self, path: str) -> str:
        """Give the text of a link, which is relative (configfs_get_target_path())."""
        folder, name = self._place(path)
        if name not in folder.links:
            refuse(errno.EINVAL if name in folder.names else errno.ENOENT)
        up = [".."] * len(folder.path)
        return "/".join((*up, *folder.links[name].path))

    def open(self, path: str, flags: int) -> Found:
        """Open an attribute to read or to write; a folder can be opened, too."""
        found = self.find(path)
        writing = flags & (os.O_WRONLY | os.O_RDWR)
        if isinstance(found, Folder):
            return refuse(errno.EISDIR) if writing else found
        can = found.show if not writing else found.store
        return found if can else refuse(errno.EACCES)

    @staticmethod
    def read(found: Found) -> bytes:
        """Read an attribute that is open."""
        if isinstance(found, Folder):
            refuse(errno.EISDIR)
        return found.show().encode()[:PAGE] if found.show else refuse(errno.EBADF)

    @staticmethod
    def write(found: Found, data: bytes) -> int:
        """Write to an attribute that is open. What is too long is cut off."""
        if isinstance(found, Folder) or found.store is None:
            refuse(errno.EBADF)
        taken = data[:_MOST]
        if taken:
            found.store(taken.decode())
        return len(taken)


def _see_that_nothing_holds(folder: Folder) -> None:
    """Do what configfs_detach_prep() does before an object may go."""
    if folder.links_here:
        refuse(errno.EBUSY)
    if folder.links:
        refuse(errno.ENOTEMPTY)
    for inner in folder.folders.values():
        if not inner.is_default:
            refuse(errno.ENOTEMPTY)
        _see_that_nothing_holds(inner)


def number(text: str, *allowed: int) -> int:
    """Read a number as kstrtoul(page, 0, ...) does; refuse others than these."""
    text = text.removesuffix("\n")
    try:
        found = int(text, 8 if re.fullmatch("0[0-9]+", text) else 0)
    except ValueError:
        refuse(errno.EINVAL)
    return found if found in allowed or not allowed else refuse(errno.EINVAL)
