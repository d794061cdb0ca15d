# SPDX-License-Identifier: Apache-2.0
"""The lock that is held for all work on a volume, on every node."""

from typing import Any

from cinder import coordination


def of_volume(volume: Any) -> Any:
    """Give the lock of a volume of Cinder's."""
    # By name_id, which two rows may share for a while.
    return of(volume["name_id"])


def of(name_id: str) -> Any:
    """Give the lock of what is named by a ``name_id``."""
    return coordination.COORDINATOR.get_lock(name(name_id))


def name(name_id: str) -> str:
    """Give the name of a lock."""
    return f"taikun_cinder-{name_id}"


def forget(name_id: str) -> None:
    """Delete what the lock of a volume that is gone leaves on disk."""
    coordination.synchronized_remove(name(name_id))
