# SPDX-License-Identifier: Apache-2.0
"""Actors, which are the threads of a run, and the processes that they die with."""

from collections.abc import Callable

from greenlet import greenlet


class Killed(BaseException):
    """The process of the actor was killed. Nothing it does has an effect any more."""


class Process:
    """What can be killed as a whole, with all its actors.

    Attributes:
        node: whether it is on the storage node, and dies with it.
    """

    def __init__(self, name: str, *, node: bool = False) -> None:
        self.name, self.node = name, node
        self.dead = False


class Actor:
    """A thread.

    Attributes:
        id: of the operation that began it, and the number of each child on the way.
        count: how many steps it has made.
        turns: how often it had the turn.
        until: says whether it can go on; None if it can.
        deadline: when it goes on anyway, by the run's clock; None for never.
        thread: what the driver takes for its thread.
    """

    def __init__(
        self,
        name: str,
        about: str,
        process: Process,
        work: Callable[[], object],
        hub: greenlet,
    ) -> None:
        self.id, self.about, self.process = name, about, process
        self.count = self.turns = self.children = 0
        self.until: Callable[[], bool] | None = None
        self.deadline: float | None = None
        self.thread: object = None
        self.done = False
        self.error: BaseException | None = None
        self._work = work
        self.greenlet = greenlet(self._run, hub)

    def _run(self) -> None:
        try:
            self._work()
        except Killed:
            pass
        except BaseException as error:  # whoever began it looks
            self.error = error
        finally:
            self.done = True

    def can_go_on(self, now: float) -> bool:
        """Say whether it waits for nothing any more."""
        if self.until is None or self.until():
            return True
        return self.deadline is not None and self.deadline <= now
