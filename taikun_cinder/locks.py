# SPDX-License-Identifier: Apache-2.0
"""The lock that is held for all work on a volume, on every node."""

import contextlib
import time
from collections.abc import Iterator
from typing import Any

from cinder import coordination

from taikun_cinder import waits


def of_volume(volume: Any) -> Any:
    """Give the lock of a volume of Cinder's."""
    # By name_id, which two rows may share for a while.
    return of(volume["name_id"])


def of(name_id: str) -> Any:
    """Give the lock of what is named by a ``name_id``."""
    return coordination.COORDINATOR.get_lock(name(name_id))


@contextlib.contextmanager
def held(name_id: str) -> Iterator[None]:
    """Hold a lock during the block; reports tell who waits for it, and who has it."""
    with waits.noted(f"waits for the lock of volume {name_id}") as wait, of(name_id):
        wait.what, wait.since = f"has the lock of volume {name_id}", time.monotonic()
        yield


@contextlib.contextmanager
def tried(volume: Any, patience: float) -> Iterator[bool]:
    """Hold the lock of a volume during the block, unless another holds it too long.

    For operators, whom an operation that hangs must not keep waiting.

    Args:
        volume: Cinder's.
        patience: how long to wait for it, in seconds.

    Returns:
        whether it is held.
    """
    lock = of_volume(volume)
    has_lock = bool(lock.acquire(blocking=patience))
    try:
        yield has_lock
    finally:
        if has_lock:
            lock.release()


def name(name_id: str) -> str:
    """Give the name of a lock."""
    return f"taikun_cinder-{name_id}"


def forget(name_id: str) -> None:
    """Delete what the lock of a volume that is gone leaves on disk."""
    coordination.synchronized_remove(name(name_id))
