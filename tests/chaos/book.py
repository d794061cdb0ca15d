# SPDX-License-Identifier: Apache-2.0
"""Notes of a run, by all its threads: who had access, what was done and broken."""

import contextlib
import dataclasses
import math
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from lab.node import Node
from tests.chaos.guest import worker
from tests.chaos.history import (
    Access,
    Block,
    Excuse,
    History,
    Operation,
    unattached,
)
from tests.chaos.logs import Clock, operations

#: The lane of what is broken.
FAULTS = "faults"


@dataclasses.dataclass(frozen=True)
class Event:
    """Something that a person wants to see on the timeline.

    Attributes:
        lane: whose it is: a host, or what was broken.
        text: what it was.
        since: when it began, in seconds since the run's begin.
        until: when it ended.
        good: whether it went as it was to go.
    """

    lane: str
    text: str
    since: float
    until: float
    good: bool = True


@dataclasses.dataclass(frozen=True)
class _Log:
    path: Path
    attachment: str
    clock: Clock


#: How long a host may keep what an earlier database does not know, in seconds: until
#: two passes of the reconcile, one after the other, are disturbed by no fault.
_KEPT_IN = 600.0


class Book:
    """The notes.

    Args:
        folder: where the workers' logs are.

    Attributes:
        events: all of them.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._zero = time.monotonic()
        self._accesses: dict[str, Access] = {}
        self._excuses: list[Excuse] = []
        self._reads: list[Operation] = []
        self._copies: list[str] = []
        self._logs: list[_Log] = []
        self._clocks: dict[str, Clock] = {}
        #: Attachments that somebody has.
        self._held: set[str] = set()
        #: Those whose rows an earlier database took away, and since when: nothing tells
        #: of their end.
        self._lost: dict[str, float] = {}
        self.events: list[Event] = []

    def now(self) -> float:
        """Give the time since the run's begin, in seconds."""
        return time.monotonic() - self._zero

    def clock(self, node: Node) -> Clock:
        """Give a node's clock by the run's; it is asked once a boot."""
        with self._lock:
            known = self._clocks.get(node.name)
        if known is None:
            with node.session() as session:
                known = Clock.compare(
                    lambda: float(session(worker.__name__, "clock")), self.now
                )
            with self._lock:
                self._clocks[node.name] = known
        return known

    def lost(self, node: Node) -> None:
        """Note that a node has lost its power, and begins anew with its clock."""
        with self._lock:
            self._clocks.pop(node.name, None)

    def holds(self, attachment: str) -> None:
        """Note that somebody has an attachment now, with access or without."""
        with self._lock:
            self._held.add(attachment)

    def lets_go(self, attachment: str) -> None:
        """Note that nobody has it any more."""
        with self._lock:
            self._held.discard(attachment)

    def database_is_earlier(self, since: float, known: Mapping[str, bool]) -> set[str]:
        """Note that Cinder's database is what it was at an earlier time.

        A host whose attachment it does not know has access as long as the driver lets
        it, and one whose attachment it knows again may get it again.

        Args:
            since: when it may have been so first, in seconds.
            known: the attachments that it knows, each with whether it knows their host.

        Returns:
            those of them that nobody has.
        """
        with self._lock:
            for name, access in self._accesses.items():
                changed = access
                if known.get(name):
                    if access.given_up < math.inf:
                        back = min(access.back, since)
                        changed = dataclasses.replace(access, back=back)
                elif access.ended == math.inf:
                    self._lost[name] = since
                    given_up = min(access.given_up, since)
                    changed = dataclasses.replace(access, given_up=given_up)
                self._accesses[name] = changed
            return known.keys() - self._held

    def given(self, access: Access) -> None:
        """Note that an attachment is about to get access."""
        with self._lock:
            self._accesses[access.attachment] = access

    def giving_up(self, attachment: str) -> None:
        """Note that a request that takes an attachment's access away is about to go."""
        self._change(attachment, "given_up")

    def ended(self, attachment: str, *, fenced: bool = False) -> None:
        """Note that the access is gone, as far as one was told.

        Another attachment of the host, which an earlier database does not know, may
        keep it in for a while. A fence ends that, too.
        """
        self._change(attachment, "ended")
        with self._lock:
            access, now = self._accesses.get(attachment), self.now()
            if access is not None and not fenced and self._is_kept_in(access, now):
                changed = dataclasses.replace(access, back=min(access.back, now))
                self._accesses[attachment] = changed

    def _is_kept_in(self, access: Access, now: float) -> bool:
        others = (
            self._accesses[name] for name in self._lost if name != access.attachment
        )
        return any(
            (one.host, one.volume) == (access.host, access.volume)
            for one in others
            if now - self._lost[one.attachment] < _KEPT_IN
        )

    def _change(self, attachment: str, what: str) -> None:
        now = self.now()
        with self._lock:
            access = self._accesses.get(attachment)
            if what == "ended" and attachment in self._lost:
                return  # that there is no such attachment says nothing of the access
            if access is not None:  # else it never got so far as to have any
                first = min(now, getattr(access, what))
                changed = dataclasses.replace(access, **{what: first})
                self._accesses[attachment] = changed

    def works(self, name: str, attachment: str, clock: Clock) -> None:
        """Note that a worker by this name begins."""
        path = self._folder / f"{name}.log"
        with self._lock:
            self._logs.append(_Log(path, attachment, clock))

    def looked(
        self,
        name: str,
        volume: str,
        values: Sequence[str],
        begun: float,
        ended: float,
        *,
        copy: bool = False,
    ) -> None:
        """Note a look at all blocks of a volume, where it lives, or at a copy of it.

        Args:
            name: of the look.
            volume: its id.
            values: of its blocks, from the first one on.
            begun: the earliest that they may have been so, in seconds.
            ended: and the latest.
            copy: whether they are to be of one time in between.
        """
        self.given(unattached(name, volume))
        blocks = (Block(volume, number) for number in range(len(values)))
        seen = [
            Operation(name, block, None, value, begun, ended)
            for block, value in zip(blocks, values, strict=True)
        ]
        with self._lock:
            self._reads += seen
            if copy:
                self._copies.append(name)

    def note(self, lane: str, text: str, since: float, *, good: bool = True) -> None:
        """Note an event that ends now."""
        with self._lock:
            self.events.append(Event(lane, text, since, self.now(), good))

    @contextlib.contextmanager
    def during(self, lane: str, text: str) -> Iterator[None]:
        """Note what the block does; what it raises goes on."""
        since = self.now()
        try:
            yield
        except BaseException as error:
            self.note(lane, f"{text}: {_words(error)}", since, good=False)
            raise
        self.note(lane, text, since)

    @contextlib.contextmanager
    def excuse(
        self, host: str | None, why: str, after: float, volume: str | None = None
    ) -> Iterator[None]:
        """Excuse a host, or all, in the block and a while after, in seconds.

        Args:
            host: its name.
            why: in a word or two.
            after: the while.
            volume: the id of the only one that it is about.
        """
        since = self.now()
        try:
            yield
        finally:
            with self._lock:
                until = self.now() + after
                self._excuses.append(Excuse(host, since, until, why, volume))

    def history(self, patience: float) -> History:
        """Give all that was noted, with the operations of the workers' logs."""
        found = list(self._reads)
        for log in self._logs:
            volume = self._accesses[log.attachment].volume
            found += operations(log.path, log.attachment, volume, log.clock)
        return History(
            tuple(found),
            tuple(self._accesses.values()),
            tuple(self._excuses),
            patience,
            tuple(self._copies),
        )


def _words(error: BaseException) -> str:
    """Give the first line of what went wrong, for a picture."""
    return (str(error).splitlines() or [type(error).__name__])[0][:160]
