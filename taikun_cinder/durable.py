# SPDX-License-Identifier: Apache-2.0
"""Files that are whole after a power failure."""

import contextlib
import os
import secrets
from pathlib import Path

#: What an operator does about a folder that cannot be written to.
CURE = (
    "Give the folder to the user of cinder-volume, with room on its disk, or set the "
    "option taikun_state_path to another one."
)


def draft(path: Path) -> Path:
    """Give where a file is written before it takes its place."""
    return path.with_suffix(".new")


def replace(path: Path, content: bytes, *, by_several: bool = False) -> None:
    """Replace a file so that after a power failure it is the old or the new one.

    Nobody but its owner can read it.

    Args:
        path: the file's.
        content: the new one.
        by_several: whether several may do it at once, without a lock. Then a draft of
            one that was killed stays in the folder.

    Raises:
        OSError: the old one is still there, or the new one already; which of them it
            is after a power failure cannot be told.
    """
    new = draft(path)
    if by_several:
        new = new.with_name(f"{secrets.token_hex(8)}-{new.name}")
    new.unlink(missing_ok=True)
    created = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    try:
        with os.fdopen(os.open(new, created, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)  # it may have passwords
        raise
    _sync(path.parent)


def remove(path: Path) -> None:
    """Remove a file, and its draft, so that it is gone after a power failure, too.

    Raises:
        OSError: it may be there still.
    """
    for file in (draft(path), path):
        file.unlink(missing_ok=True)
    with contextlib.suppress(FileNotFoundError):  # nothing was ever there
        _sync(path.parent)


def make(folder: Path) -> None:
    """Make a folder, and those above it, so that they outlive a power failure.

    Nobody but their owner can look into them.

    Raises:
        OSError: it is not there.
    """
    if folder.is_dir():
        return
    make(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    _sync(folder.parent)


def _sync(folder: Path) -> None:
    """See that the names in a folder outlive a power failure."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
