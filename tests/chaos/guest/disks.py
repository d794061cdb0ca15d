# SPDX-License-Identifier: Apache-2.0
"""Logical volumes that are slow or do not answer, and groups without room."""

import contextlib
import fcntl
import mmap
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

from lab.guest.system import run
from lab.plan import VOLUME_GROUP

#: The volume that takes all the room there is.
_FILLER = "chaos-filler"

#: The thin pool, by the name that Cinder looks for.
_POOL = f"{VOLUME_GROUP}-pool"

#: How many chunks of it hosts may take while it is filled.
_HOSTS = 8

#: How long a command of LVM's may be at work before it is taken to hang, in seconds.
_PATIENCE = 10.0

#: A line of a device-mapper table that is one stretch of another device.
_LINEAR = re.compile(r"(?P<where>\d+ \d+) linear (?P<device>\d+:\d+) (?P<start>\d+)$")


def choose(which: float) -> str | None:
    """Give the name of one of the active volumes of Cinder; None if there is none.

    Args:
        which: from 0 to 1, the place of the one among all that there are.
    """
    options = ("--noheadings", "-o", "lv_name", "--select", "lv_active=active")
    found = [
        name
        for name in run("lvs", *options, VOLUME_GROUP).split()
        if name.startswith("volume-")
    ]
    return sorted(found)[int(which * len(found))] if found else None


def slow_down(volume: str, delay: int) -> None:
    """Let each read and write of a logical volume wait, in milliseconds.

    Nothing is done to one that has been deleted meanwhile.
    """
    run("modprobe", "dm-delay")
    with _alone():
        if not _is_there(volume):
            return
        device = _lowest(volume)
        table = run("dmsetup", "table", device).splitlines()
        file = Path("/run/chaos-table")
        file.write_text("".join(f"{slowed(line, delay)}\n" for line in table))
        run("dmsetup", "load", device, str(file))
        run("dmsetup", "suspend", device)
        run("dmsetup", "resume", device)


def slowed(line: str, delay: int) -> str:
    """Give a line of a table, with a delay in milliseconds.

    Raises:
        ValueError: it is not one of a plain device.
    """
    if (found := _LINEAR.match(line)) is None:
        raise ValueError(f"the disk cannot be slowed down: {line}")
    return f"{found['where']} delay {found['device']} {found['start']} {delay}"


def suspend(volume: str) -> None:
    """Let a logical volume answer nothing more, unless it has been deleted."""
    with _alone():
        if _is_there(volume):
            run("dmsetup", "suspend", "--noflush", "--nolockfs", _name(volume))


def mend(volume: str) -> None:
    """Let a logical volume answer as it should, if it is there still."""
    with _alone(_PATIENCE), contextlib.suppress(RuntimeError):
        run("dmsetup", "resume", _name(volume))
    try:
        run("lvchange", "--refresh", f"{VOLUME_GROUP}/{volume}")
    except RuntimeError:
        if _is_there(volume):
            raise


def _is_there(volume: str) -> bool:
    return _name(volume) in run("dmsetup", "ls").split()


def _name(volume: str) -> str:
    """Give device-mapper's name of a logical volume."""
    return "-".join(part.replace("-", "--") for part in (VOLUME_GROUP, volume))


def _lowest(volume: str) -> str:
    """Give the device that is the disk itself.

    A volume with a snapshot has two devices, and a thin one is in its pool's.
    """
    if " thin " in run("dmsetup", "table", _name(volume)):
        return f"{_name(_POOL)}_tdata"
    real = f"{_name(volume)}-real"
    return real if Path("/dev/mapper", real).exists() else _name(volume)


@contextlib.contextmanager
def _alone(patience: float | None = None) -> Iterator[None]:
    """Keep LVM's commands away from the group; they would take the table for theirs.

    One that is at work would not find the tables that it has loaded, either.

    Args:
        patience: how long to wait for one at work, in seconds. It may itself wait for
            a disk that does not answer. None waits for ever.
    """
    path = Path("/run/lock/lvm", f"V_{VOLUME_GROUP}")
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline = None if patience is None else time.monotonic() + patience
    while True:
        with path.open("w") as lock:
            if not _locked(lock.fileno(), deadline):
                yield
                return
            mine = os.fstat(lock.fileno())
            # Whoever had it last may have taken the file away.
            if path.exists() and os.path.samestat(mine, path.stat()):
                yield
                return


def _locked(file: int, deadline: float | None) -> bool:
    """Lock a file; say whether that was possible until a time."""
    if deadline is None:
        fcntl.flock(file, fcntl.LOCK_EX)
        return True
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        else:
            return True


def fill() -> None:
    """Let the volume group, or its thin pool, have no room left."""
    if Path("/dev/mapper", f"{_name(_POOL)}-tpool").exists():
        _fill_pool()
    elif run("vgs", "--noheadings", "-o", "vg_free_count", VOLUME_GROUP).strip() != "0":
        size = ("--extents", "100%FREE")
        off = ("--activate", "n", "--zero", "n", "--wipesignatures", "n")
        run("lvcreate", "--yes", *size, *off, "--name", _FILLER, VOLUME_GROUP)


def empty() -> None:
    """Give the room back."""
    options = ("--noheadings", "-o", "lv_name", "--select", f"lv_name={_FILLER}")
    if run("lvs", *options, VOLUME_GROUP).strip():
        run("lvremove", "--force", f"{VOLUME_GROUP}/{_FILLER}")


def make_pool(size: str, chunk: str) -> None:
    """Make the thin pool that Cinder then finds; sizes are LVM's words."""
    how = ("--type", "thin-pool", "--size", size, "--chunksize", chunk)
    run("lvcreate", "--yes", *how, "--name", _POOL, VOLUME_GROUP)


def _fill_pool() -> None:
    """Write to as many chunks of a new thin volume as the pool has left."""
    unit, total, _ = _room()
    size = ("--virtualsize", f"{unit * total}b", "--thinpool", _POOL)
    run("lvcreate", "--yes", *size, "--name", _FILLER, VOLUME_GROUP)
    page = mmap.mmap(-1, mmap.PAGESIZE)
    disk = os.open(f"/dev/{VOLUME_GROUP}/{_FILLER}", os.O_WRONLY | os.O_DIRECT)
    written = 0
    try:
        # Each look is new: hosts take some too, and one too many would wait for long.
        while free := _room()[2]:
            for _ in range(max(1, free - _HOSTS)):
                os.pwrite(disk, page, written * unit)
                written += 1
    finally:
        os.close(disk)


def _room() -> tuple[int, int, int]:
    device = f"{_name(_POOL)}-tpool"
    return room(run("dmsetup", "status", device), run("dmsetup", "table", device))


def room(status: str, table: str) -> tuple[int, int, int]:
    """Tell what a thin pool has.

    Args:
        status: what dmsetup says of it.
        table: the same.

    Returns:
        the size of a chunk in bytes, the number of all chunks, and that of free ones.
    """
    used, total = status.split()[5].split("/")
    return 512 * int(table.split()[5]), int(total), int(total) - int(used)
