# SPDX-License-Identifier: Apache-2.0
"""The folder of the driver's records, without room or without leave to write."""

import errno
import os
from pathlib import Path

from lab.guest.system import run
from lab.services.cinder_conf import STATE

_RECORDS = Path(STATE, "taikun_cinder")

#: Takes the room; in the folder that ext4 itself keeps there.
_FILLER = _RECORDS / "lost+found" / "chaos"


#: The least that a file takes, in bytes.
_LEAST = 1024


def fill() -> None:
    """Let the folder's file system have no room left."""
    size, taken = 1 << 30, 0
    file = os.open(_FILLER, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        while size >= _LEAST:
            try:
                os.posix_fallocate(file, taken, size)
                taken += size
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                size //= 2
    finally:
        os.close(file)


def empty() -> None:
    """Give the room back."""
    _FILLER.unlink(missing_ok=True)


def forbid() -> None:
    """Let nobody write to the folder, as a kernel does whose disk has an error."""
    run("mount", "--bind", str(_RECORDS), str(_RECORDS))
    run("mount", "-o", "remount,bind,ro", str(_RECORDS))


def allow() -> None:
    """Let it be written to again."""
    # At once for all who come, though somebody may have a file of it open.
    run("umount", "--lazy", str(_RECORDS))
