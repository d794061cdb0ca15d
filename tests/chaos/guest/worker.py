# SPDX-License-Identifier: Apache-2.0
"""An application on a host: it writes and reads sectors of a disk, and logs each.

It writes down that it begins before it begins, to a file of the lab's host: what it was
at is known also after its node has lost its power.
"""

import ctypes
import dataclasses
import errno
import json
import mmap
import os
import random
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from lab.processes import runs
from tests.chaos import sectors
from tests.chaos.history import value
from tests.lab.guest import opcodes

#: In the lab's work folder, which all nodes and the lab's host have.
FOLDER = Path("/run/lab/chaos")

#: On the node: that a worker has begun, and that it is to stop.
NOTE = "/run/chaos-{name}.{what}"

#: See sync_file_range(2).
_WRITE_AND_WAIT = 1 | 2 | 4

#: Of SCSI.
_WRITE_10 = 0x2A

_libc = ctypes.CDLL(None, use_errno=True)
_libc.sync_file_range.argtypes = (
    ctypes.c_int,
    ctypes.c_int64,
    ctypes.c_int64,
    ctypes.c_uint,
)


@dataclasses.dataclass(frozen=True)
class Task:
    """What a worker is to do.

    Attributes:
        path: of the disk.
        attachment: by which it came.
        blocks: how many sectors, from the disk's begin.
        writes: the part of its operations that are writes, from 0 to 1.
        pause: between two operations, in seconds.
        seed: of what it does.
        first: the number of its first write: an attachment may have several workers,
            one after the other.
    """

    path: str
    attachment: str
    blocks: int
    writes: float
    pause: float
    seed: int
    first: int = 0


def _note(name: str, what: str) -> Path:
    return Path(NOTE.format(name=name, what=what))


class _Log:
    """Lines that outlive the node."""

    def __init__(self, name: str) -> None:
        self._file = os.open(
            FOLDER / f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644
        )

    def write(self, **entry: Any) -> None:
        os.write(self._file, f"{json.dumps(entry)}\n".encode())
        # The node's kernel hands the page to the lab's host; no disk is waited for.
        _libc.sync_file_range(self._file, 0, 0, _WRITE_AND_WAIT)


class _Disk:
    """The disk, past the node's caches."""

    def __init__(self, path: str) -> None:
        self._page = mmap.mmap(-1, mmap.PAGESIZE)
        self._raw = None
        try:
            self._disk = os.open(path, os.O_RDWR | os.O_DIRECT)
        except OSError as error:
            if error.errno not in (errno.EROFS, errno.EACCES):
                raise
            # A reader's own kernel keeps it from writing. The target is to do so.
            self._disk = os.open(path, os.O_RDONLY | os.O_DIRECT)
            self._raw = opcodes.Disk(path)

    def write(self, block: int, text: str) -> None:
        sector = sectors.fill(text)
        if self._raw is not None:
            command = struct.pack(">BxIxHx", _WRITE_10, block, 1)
            status, _ = self._raw.send(command, "out", sector)
            if status:
                raise OSError(errno.EIO, f"the target answered with status {status}")
            return
        self._page[: sectors.SIZE] = sector
        view = memoryview(self._page)[: sectors.SIZE]
        if os.pwrite(self._disk, view, block * sectors.SIZE) != sectors.SIZE:
            raise OSError(errno.EIO, "a part of a sector was written")

    def read(self, block: int) -> str:
        view = memoryview(self._page)[: sectors.SIZE]
        if os.preadv(self._disk, [view], block * sectors.SIZE) != sectors.SIZE:
            raise OSError(errno.EIO, "a part of a sector was read")
        return sectors.value(bytes(view))


def work(task: Task, name: str) -> None:
    """Write and read until the file ``NAME.stop`` is there."""
    chance = random.Random(task.seed)  # noqa: S311 - no secret
    log = _Log(name)
    disk = _Disk(task.path)
    number = task.first
    _note(name, "begun").touch()
    while not _note(name, "stop").exists():
        block = chance.randrange(task.blocks)
        wrote = None
        if chance.random() < task.writes:
            wrote = value(task.attachment, number)
            number += 1
        log.write(block=block, wrote=wrote, at=time.monotonic())
        read, error = None, None
        try:
            if wrote is None:
                read = disk.read(block)
            else:
                disk.write(block, wrote)
        except OSError as failure:
            error = failure.strerror or str(failure)
        log.write(at=time.monotonic(), read=read, error=error)
        time.sleep(0.5 if error else task.pause)


def begin(task: Task, name: str, timeout: float = 60) -> int:
    """Start a worker; give its process's id, once it is at work.

    Raises:
        RuntimeError: it is not; its last words tell why.
    """
    FOLDER.mkdir(exist_ok=True)
    words = FOLDER / f"{name}.stderr"
    with words.open("w") as file:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                __name__,
                json.dumps(dataclasses.asdict(task)),
                name,
            ],
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    deadline = time.monotonic() + timeout
    while not _note(name, "begun").exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"worker {name} does not work: {words.read_text()}")
        time.sleep(0.05)
    return process.pid


def end(pid: int, name: str, timeout: float) -> bool:
    """Stop a worker in an orderly way.

    Returns:
        whether it has ended: one whose disk does not answer has not, and is killed as
        far as a process that waits for its disk can be.
    """
    _note(name, "stop").touch()
    deadline = time.monotonic() + timeout
    while runs(pid):
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            return False
        time.sleep(0.02)
    return True


def clock() -> float:
    """Give the time of this node that the logs have, in seconds."""
    return time.monotonic()


def read_all(path: str, blocks: int) -> list[str]:
    """Give the values of the first blocks of a disk."""
    disk = _Disk(path)
    return [disk.read(block) for block in range(blocks)]


if __name__ == "__main__":
    work(Task(**json.loads(sys.argv[1])), sys.argv[2])
