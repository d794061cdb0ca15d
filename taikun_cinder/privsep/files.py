# SPDX-License-Identifier: Apache-2.0
"""The few operations that configfs knows, each safe to repeat.

configfs shows the kernel's objects as folders: mkdir makes one, rmdir removes one, a
symbolic link binds one to another, an attribute is a file
(Documentation/filesystems/configfs.rst). Paths are texts here: each call of a back end
comes through, and pathlib takes longer than the kernel.

What changes something looks first whether its caller still waits (``deadline``), and
raises TooLate if not.
"""

import contextlib
import errno
import os
from collections.abc import Iterator

from taikun_cinder.privsep import deadline

_PAGE = 4096
_LINE = "\n"

#: What is being removed right now answers ENOENT at any of the calls.
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ENODEV)


def get(attribute: str) -> str | None:
    """Read an attribute, without the last line's end; None if there is none."""
    try:
        handle = os.open(attribute, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in _ABSENT:
            return None
        raise
    try:
        return os.read(handle, _PAGE).decode(errors="replace").removesuffix(_LINE)
    except OSError as error:
        if error.errno in _ABSENT:
            return None
        raise _named(error, attribute) from None
    finally:
        os.close(handle)


def put(attribute: str, value: str) -> None:
    """Write an attribute, in one piece and without a line's end.

    LIO keeps what follows a CHAP secret as part of it, a line's end too.
    """
    deadline.check()
    # Never O_CREAT: what is no attribute must not become a file of that name.
    handle = os.open(attribute, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(handle, value.encode())
    except OSError as error:
        raise _named(error, attribute) from None
    finally:
        os.close(handle)


def make(folder: str) -> None:
    """Make an object, unless it is there."""
    deadline.check()
    with contextlib.suppress(FileExistsError):
        os.mkdir(folder)


def remove(folder: str) -> None:
    """Remove an object, unless it is gone."""
    deadline.check()
    with _absent_is_fine():
        os.rmdir(folder)


def link(source: str, to: str) -> None:
    """Bind one object to another by a link that is not there yet."""
    deadline.check()
    os.symlink(to, source)


def unlink(source: str) -> None:
    """Undo a binding, unless it is gone."""
    deadline.check()
    with contextlib.suppress(FileNotFoundError):
        os.unlink(source)


def entries(folder: str, prefix: str = "") -> list[str]:
    """List the names in a folder that begin with a prefix; none if it is absent."""
    with _absent_is_fine():
        return sorted(name for name in os.listdir(folder) if name.startswith(prefix))
    return []


def links(folder: str) -> dict[str, str]:
    """Give the links in a folder and what each is bound to; none if it is absent."""
    with _absent_is_fine(), os.scandir(folder) as found:
        return {
            entry.path: _bound(folder, entry.path)
            for entry in found
            if entry.is_symlink()
        }
    return {}


def _bound(folder: str, source: str) -> str:
    return os.path.normpath(os.path.join(folder, os.readlink(source)))


def _named(error: OSError, path: str) -> OSError:
    return OSError(error.errno, error.strerror, path)


@contextlib.contextmanager
def _absent_is_fine() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _ABSENT:
            raise
