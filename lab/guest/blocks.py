# SPDX-License-Identifier: Apache-2.0
"""Reads and writes single blocks of a device, past the caches of the host."""

import contextlib
import errno
import mmap
import os
from collections.abc import Iterator
from pathlib import Path

BLOCK = 4096


@contextlib.contextmanager
def to_write(path: str) -> Iterator[int]:
    """Open a device for :func:`put`; a write is on the disk when it returns."""
    device = os.open(path, os.O_WRONLY | os.O_DIRECT | os.O_SYNC)
    try:
        yield device
    finally:
        os.close(device)


def put(device: int, block: int, text: str) -> None:
    """Write a text into one block of 4 KiB, past every cache of this host.

    Raises:
        OSError: the host's kernel or the target refused it.
    """
    with mmap.mmap(-1, BLOCK) as page:
        page.write(text.encode().ljust(BLOCK, b"\0"))
        os.pwrite(device, page, block * BLOCK)


def write(path: str, block: int, text: str) -> None:
    """Open a device, write one block as :func:`put` does, and close it."""
    with to_write(path) as device:
        put(device, block, text)


def read(path: str, block: int) -> str:
    """Read the text of one block, past every cache of this host.

    Raises:
        OSError: the host's kernel or the target refused it; or the disk has no such
            block, as one that comes back and whose size is not known yet.
    """
    with mmap.mmap(-1, BLOCK) as page:
        device = os.open(path, os.O_RDONLY | os.O_DIRECT)
        try:
            if os.preadv(device, [page], block * BLOCK) != BLOCK:
                raise OSError(errno.EIO, "the disk ends before this block", path)
        finally:
            os.close(device)
        return page[:].rstrip(b"\0").decode()


def identity(path: str) -> dict[str, str]:
    """Give the kernel's name of a device, its serial number, world-wide name and model.

    Those of a multipath device are its paths', which are all the same.
    """
    name = Path(path).resolve().name
    device = Path("/sys/block", next(iter(paths(path)), name), "device")
    serial = (device / "vpd_pg80").read_bytes()[4:].decode(errors="replace")
    wwid = (device / "wwid").read_text().strip()
    model = (device / "model").read_text().strip()
    return {"name": name, "serial": serial.strip(), "wwn": wwid, "model": model}


def paths(path: str) -> list[str]:
    """Name the disks that a multipath device goes to; none for another device."""
    slaves = Path("/sys/block", Path(path).resolve().name, "slaves")
    return sorted(slave.name for slave in slaves.iterdir()) if slaves.exists() else []
