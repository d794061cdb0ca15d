# SPDX-License-Identifier: Apache-2.0
"""Locks between actors."""

from typing import Any

from tests.simulate.schedule import Scheduler


class Lock:
    """A lock between actors.

    Attributes:
        owner: who has it; an actor, or what stands for none.
    """

    def __init__(self, scheduler: Scheduler, name: str = "") -> None:
        self._scheduler, self.name = scheduler, name
        self.owner: object = None

    def acquire(self, blocking: bool | float = True, timeout: float = -1) -> bool:
        """Take it; a number instead of ``blocking`` is a time-out, as tooz has it."""
        scheduler = self._scheduler
        if self.name:
            scheduler.step(f"lock {self.name}")
        if not isinstance(blocking, bool):
            timeout = blocking
        deadline = None if timeout < 0 else scheduler.now + timeout
        if not (blocking or timeout >= 0):
            deadline = scheduler.now
        if not scheduler.block(lambda: self.owner is None, deadline):
            return False
        self.owner = scheduler.current or self
        return True

    def release(self) -> None:
        """Let go of it."""
        self.owner = None

    def __enter__(self) -> "Lock":
        self.acquire()
        return self

    def __exit__(self, *error: Any) -> None:
        self.release()
