# SPDX-License-Identifier: Apache-2.0
"""What is broken of the storage node's disks: those of volumes, and of the records."""

import contextlib
import random
import threading
from collections.abc import Iterator

from lab.guest.iscsi import REPLACEMENT_TIMEOUT
from lab.node import Node
from tests.chaos.book import Book

_DISKS = "tests.chaos.guest.disks"
_FOLDERS = "tests.chaos.guest.folders"

#: What each operation of a slow disk may take longer, in milliseconds.
_DELAYS = (20, 100, 500)

#: How long a disk does not answer at all, in seconds. Hosts wait, and see no error.
_SUSPENDED = (1, REPLACEMENT_TIMEOUT)

#: The same for one that is given up: a host's kernel aborts a command after 30 seconds.
_HANGS = (32, 45)

#: How long after that a host's errors are excused, in seconds.
_AFTER = 30


@contextlib.contextmanager
def slow(storage: Node, chance: random.Random) -> Iterator[None]:
    """Let the disk of a volume be slow. Hosts wait no longer than they do for it."""
    volume = storage.call(_DISKS, "choose", chance.random())
    delay = chance.choice(_DELAYS)
    if volume is None:
        yield
        return
    storage.call(_DISKS, "slow_down", volume, delay)
    yield
    storage.call(_DISKS, "mend", volume)


@contextlib.contextmanager
def suspended(storage: Node, chance: random.Random) -> Iterator[None]:
    """Let the disk of a volume answer nothing for a time that hosts wait."""
    volume = storage.call(_DISKS, "choose", chance.random())
    _suspend(storage, volume, chance.uniform(*_SUSPENDED))
    yield


@contextlib.contextmanager
def hanging(storage: Node, chance: random.Random, book: Book) -> Iterator[None]:
    """Let it answer nothing for longer than hosts wait.

    The errors of those that have this volume are excused. What they wrote is not, nor
    are those that have another.
    """
    volume = storage.call(_DISKS, "choose", chance.random())
    only = str(volume).removeprefix("volume-")
    with book.excuse(None, "a disk did not answer", _AFTER, only):
        _suspend(storage, volume, chance.uniform(*_HANGS))
    yield


def _suspend(storage: Node, volume: str | None, seconds: float) -> None:
    if volume is not None:
        storage.call(_DISKS, "suspend", volume)
        threading.Event().wait(seconds)
        storage.call(_DISKS, "mend", volume)


@contextlib.contextmanager
def no_room(storage: Node) -> Iterator[None]:
    """Let the volume group, or its thin pool, be full.

    Nothing of it is excused. A volume has its room from its making, and what finds none
    is not made. A thin pool lets writes wait for room for a minute.
    """
    storage.call(_DISKS, "fill")
    yield
    storage.call(_DISKS, "empty")


@contextlib.contextmanager
def no_room_for_records(storage: Node) -> Iterator[None]:
    """Let the file system of the driver's records be full."""
    storage.call(_FOLDERS, "fill")
    yield
    storage.call(_FOLDERS, "empty")
    _write_down(storage)


@contextlib.contextmanager
def read_only_records(storage: Node) -> Iterator[None]:
    """Let the folder of the driver's records be read-only."""
    storage.call(_FOLDERS, "forbid")
    yield
    storage.call(_FOLDERS, "allow")
    _write_down(storage)


def _write_down(storage: Node) -> None:
    """Let the records have the detaches that could not be written down.

    The next reconcile would. Until then only the process knows of them, as its log
    says, and the next fault may end it.
    """
    storage.call("tests.lab.guest.operator", "call", "reconcile", "--yes")
