# SPDX-License-Identifier: Apache-2.0
"""The checks of the folder of records: whose it is, who can change it, what it is on.

It has the passwords of hosts, and what a boot gives hosts their disks back by.
"""

import errno
import os
import pwd
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from taikun_cinder import durable
from taikun_cinder.node import Node, Problem

#: What a record takes, at most; a disk that is full lets an empty file be made.
_ROOM = 64 * 1024

_IN_MEMORY = ("tmpfs", "ramfs")
#: File systems that are other machines', as the kernel names them.
SHARED = ("nfs", "nfs4", "cifs", "smb3", "ceph", "fuse.glusterfs", "gfs2", "ocfs2")


def problems(folder: Path, node: Node, *, make: bool = True) -> Iterator[Problem]:
    """Tell what is wrong with the folder.

    Args:
        folder: of the records.
        node: that it is on.
        make: whether to make it, if it is not there. Otherwise it is told if nobody
            could.
    """
    if not folder.is_absolute():
        yield Problem(
            f"'{folder}' (option taikun_state_path) is another folder wherever a "
            "program is started",
            "Set taikun_state_path to a path that begins with /.",
        )
        return
    try:
        if make:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        elif not folder.exists():
            _refuse_unwritable(next(filter(Path.exists, folder.parents)))
            return
        real = folder.resolve(strict=True)
        with tempfile.TemporaryFile(dir=real) as file:
            file.write(bytes(_ROOM))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        yield Problem(
            f"The driver cannot write to {folder} (option taikun_state_path): "
            f"{error.strerror}",
            durable.CURE,
        )
        return
    yield from access_problems(folder, os.geteuid())
    for parent in real.parents:
        yield from _parent(folder, parent, parent.stat())
    yield from _medium(folder, real, node)


def owner(folder: Path) -> int | None:
    """Give the number of the folder's user; None if there is no such folder."""
    try:
        return folder.stat().st_uid
    except FileNotFoundError:
        return None
    except OSError:  # not even this may be seen, as in a folder of the user's
        return owner(folder.parent)


def name_of(user: int) -> str:
    """Give the name of a user; their number where they have no name here."""
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:  # a container's
        return str(user)


def _refuse_unwritable(parent: Path) -> None:
    """Refuse a folder in which nothing can be made.

    Raises:
        OSError: it is one.
    """
    if not parent.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    if os.statvfs(parent).f_flag & os.ST_RDONLY:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))
    if not os.access(parent, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def access_problems(folder: Path, user: int) -> Iterator[Problem]:
    """Tell who else can get at the folder, and what in it the user cannot use.

    Args:
        folder: it is there.
        user: the number of cinder-volume's.

    Raises:
        OSError: it cannot be looked at.
    """
    real = folder.resolve(strict=True)
    yield from _access(folder, real.stat(), user)
    yield from _content(real, user)


def _access(folder: Path, status: os.stat_result, user: int) -> Iterator[Problem]:
    if status.st_uid != user:
        yield Problem(
            f"{folder} (option taikun_state_path) belongs to user {status.st_uid}, and "
            f"cinder-volume runs as user {user}: who owns it can let hosts in",
            f"Run chown -R {user} {folder}, as root.",
        )
    if _is_open(status):
        yield Problem(
            f"Other users can write to {folder} (option taikun_state_path), and so let "
            f"hosts in: its mode is {stat.S_IMODE(status.st_mode):04o}",
            f"Run chmod 700 {folder}.",
        )
    elif status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield Problem(
            f"Other users can list {folder} (option taikun_state_path): its mode is "
            f"{stat.S_IMODE(status.st_mode):04o}",
            f"Run chmod 700 {folder}.",
            tolerable=True,
        )


def _content(folder: Path, user: int) -> Iterator[Problem]:
    others = [
        path.name
        for path in folder.iterdir()
        # A file system of its own has this, and it is root's.
        if path.name != "lost+found" and path.lstat().st_uid != user
    ]
    if others:
        yield Problem(
            f"{len(others)} file(s) in {folder} (option taikun_state_path) belong to "
            f"another user than {user}, such as {min(others)}, and cannot be used",
            f"Run chown -R {user} {folder}, as root.",
            tolerable=True,
        )


def _parent(folder: Path, parent: Path, status: os.stat_result) -> Iterator[Problem]:
    """Warn of a folder above in which somebody could put another one in its place."""
    theirs = status.st_uid not in (0, os.geteuid())
    if theirs or (_is_open(status) and not status.st_mode & stat.S_ISVTX):
        who = f"user {status.st_uid}" if theirs else "other users"
        yield Problem(
            f"{parent} can be changed by {who}, who could put another folder in the "
            f"place of {folder} (option taikun_state_path)",
            f"Let {parent} belong to root or cinder-volume's user, with chmod go-w, or "
            "set taikun_state_path to a folder elsewhere.",
            tolerable=True,
        )


def _is_open(status: os.stat_result) -> bool:
    """Say whether others can write; the user's own group is nobody else."""
    group = status.st_mode & stat.S_IWGRP and status.st_gid != os.getegid()
    return bool(group or status.st_mode & stat.S_IWOTH)


def _medium(folder: Path, real: Path, node: Node) -> Iterator[Problem]:
    there = node.file_system(real)
    if there.kind in _IN_MEMORY:
        yield Problem(
            f"{folder} (option taikun_state_path) is in memory ({there.kind} at "
            f"{there.folder}), so nothing is known after a reboot",
            "Set taikun_state_path to a folder on a disk.",
            tolerable=True,
        )
    elif there.kind in SHARED:
        yield Problem(
            f"{folder} (option taikun_state_path) is on {there.kind}, and nodes must "
            "not share it",
            "Set taikun_state_path to a folder on a disk of this node, or see that no "
            "other node has the same.",
            tolerable=True,
        )
    elif node.in_container and there.folder == Path("/"):
        yield Problem(
            f"{folder} (option taikun_state_path) is a part of this container, so "
            "nothing is known after the container was made anew",
            f"Mount a folder of the host there: --volume {real}:{real}.",
            tolerable=True,
        )
