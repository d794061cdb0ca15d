# SPDX-License-Identifier: Apache-2.0
"""One actor at a time: who has the turn, what time it is, and who is dead.

An actor is a thread of the real thing: of cinder-volume, of cinder-api, of a host. Here
it is a greenlet, so only one runs, and it hands back its turn at each step: a lock, a
call of the database, a write, a change of the kernel, a sleep. What a killed process
would do next it does not do: each step of its actors raises ``Killed``.
"""

import hashlib
import itertools
from collections.abc import Callable, Iterator, Sequence

from greenlet import getcurrent

from tests.simulate.actors import Actor, Killed, Process
from tests.simulate.decisions import BEGIN, KILL, PASS, POWER, Decisions

#: What a step takes, in seconds of the run's own clock.
TICK = 0.001

#: How many steps a run has at most: one that does not end has a fault, too.
LONGEST = 400_000


class StuckError(Exception):
    """Nobody can go on, and no time that passes will change it."""


class Scheduler:
    """Gives the actors their turns.

    Args:
        decisions: who goes next, and what fails.
        begin: begins the next operation; says whether there was one.
        watch: is called after each step.
        lose_power: ends the storage node's power.

    Attributes:
        now: the time, in seconds since the run began.
        steps: how many there were.
        faults: how many of them failed.
        limit: how many actors there may be when another operation begins.
        lines: what happened, if it is kept.
    """

    def __init__(
        self,
        decisions: Decisions,
        begin: Callable[[], bool],
        watch: Callable[[], None],
        lose_power: Callable[[int], None],
    ) -> None:
        self.decisions = decisions
        self._begin, self._watch, self._lose_power = begin, watch, lose_power
        self.now = 1000.0
        self.steps = self.faults = 0
        self.limit = 6
        self.current: Actor | None = None
        self.actors: list[Actor] = []
        self.lines: list[str] | None = None
        self._digest = hashlib.blake2b(digest_size=16)
        self._hub = getcurrent()
        self._wish = ""

    @property
    def digest(self) -> str:
        """A digest of all that happened, in its order."""
        return self._digest.hexdigest()

    def note(self, text: str) -> None:
        """Take down what happened."""
        line = f"{self.current.id if self.current else '-'} {text}"
        self._digest.update(line.encode())
        if self.lines is not None:
            self.lines.append(f"{self.now:10.3f} {line}")

    def tell(self, text: str) -> None:
        """Take down what a reader of a failed run has to know."""
        self.note(f"* {text}")

    def spawn(
        self, about: str, process: Process, work: Callable[[], object], name: str = ""
    ) -> Actor:
        """Begin an actor; it is named by the one that begins it, or as it is said."""
        parent = self.current
        if not name and parent is not None:
            parent.children += 1
            name = f"{parent.id}.{parent.children}"
        made = Actor(name, about, process, work, self._hub)
        self.actors.append(made)
        return made

    def step(self, what: str, ways: Sequence[str] = (), share: float = 1.0) -> str:
        """Make a step of the actor at work: others may come between, or it fails.

        Args:
            what: in words.
            ways: in which it may fail.
            share: how small it is beside others, from 0 to 1: in time, and in what
                happens at it.

        Returns:
            in which of the ways it fails; empty for none.

        Raises:
            Killed: its process was killed.
        """
        actor = self.current
        if actor is None:
            return ""  # nothing runs yet, or nothing any more
        if actor.process.dead:
            raise Killed
        self._tick(actor, what, TICK * share)
        key = f"{actor.id}:{actor.count}"
        mortal = actor.process.node
        found = self.decisions.fault(key, ways, mortal=mortal, share=share)
        if found:
            self.faults += 1
            self.tell(f"{what}: {found}")
            self._die(actor, found)
            return found
        others = [one.id for one in self._ready() if one is not actor]
        if len(self.actors) < self.limit:
            others.append(BEGIN)
        if wish := self.decisions.go_on(f"{key}+", others, share):
            self._wish = wish
            self._switch(actor)
        return ""

    def block(self, until: Callable[[], bool], deadline: float | None = None) -> bool:
        """Wait for something, or until a time; say whether it came.

        Raises:
            Killed: the actor's process was killed.
        """
        actor = self.current
        if actor is None:
            return until()
        if actor.process.dead:
            raise Killed
        if until():
            return True
        if deadline is not None and deadline <= self.now:
            return False
        actor.until, actor.deadline = until, deadline
        self._switch(actor)
        return until()

    def sleep(self, seconds: float) -> None:
        """Let time pass for the actor at work."""
        self.block(lambda: False, self.now + seconds)

    def kill(self, process: Process) -> None:
        """Kill a process; its actors do nothing more."""
        self.tell(f"{process.name} is killed")
        process.dead = True
        if self.current is not None and self.current.process is process:
            raise Killed
        if self.current is not None:
            self._switch(self.current)  # they unwind first
        else:
            self._bury()

    def run(self) -> None:
        """Let all actors come to their ends, and begin the operations that there are.

        Raises:
            StuckError: it does not come to an end.
        """
        last: Actor | None = None
        while True:
            self._bury()
            actor = self._next(last)
            if actor is None:
                return
            last = actor
            actor.turns += 1
            actor.until = actor.deadline = None
            self.current = actor
            actor.greenlet.switch()
            self.current = None
            self._tidy()

    def close(self) -> None:
        """End all actors, as if everything was killed."""
        for actor in self.actors:
            actor.process.dead = True
        self._bury()

    def _tidy(self) -> None:
        for actor in [one for one in self.actors if one.done]:
            self.actors.remove(actor)
            if actor.error is not None:
                raise actor.error
        self._watch()

    def _tick(self, actor: Actor, what: str, seconds: float) -> None:
        actor.count += 1
        self.steps += 1
        self.now += seconds
        self.note(what)
        if self.steps > LONGEST:
            raise StuckError(f"there were {LONGEST} steps, and it has not ended")
        self._watch()

    def _die(self, actor: Actor, found: str) -> None:
        how, _, more = found.partition(" ")
        if how == KILL:
            self.kill(actor.process)
        elif how == POWER:
            self._lose_power(int(more))
            raise Killed

    def _switch(self, actor: Actor) -> None:
        self._hub.switch()
        if actor.process.dead:
            raise Killed

    def _ready(self) -> Iterator[Actor]:
        return (one for one in self.actors if one.can_go_on(self.now))

    def _next(self, last: Actor | None) -> Actor | None:
        """Give who has the turn now; None if all is done."""
        for number in itertools.count():
            wish, self._wish = self._wish, ""
            ready = list(self._ready())
            if not wish and last is not None:
                key = f"{last.id}:{last.turns}>{number or ''}"
                wish = self._wished(key, ready)
            if wish == PASS and self._pass_time():
                continue
            if wish == BEGIN and self._begin():
                return self.actors[-1]
            if ready:
                chosen = [one for one in ready if one.id == wish]
                return (chosen or ready)[0]
            if len(self.actors) < self.limit and self._begin():
                return self.actors[-1]
            if not self.actors:
                break
            self._wait()
        return None

    def _wished(self, key: str, ready: Sequence[Actor]) -> str:
        """Give who is chosen where the one at work has come to an end, or waits."""
        others = [one.id for one in ready[1:]]
        if ready and len(self.actors) < self.limit:
            others.append(BEGIN)
        if not ready and any(one.deadline for one in self.actors):
            others.append(PASS)
        return self.decisions.go_on(key, others)

    def _wait(self) -> None:
        """Let time pass, since nobody can go on."""
        if not self._pass_time():
            waiting = ", ".join(f"{one.id} {one.about}" for one in self.actors)
            raise StuckError(f"these wait for ever: {waiting}")

    def _pass_time(self) -> bool:
        """Let the time of the next deadline come; say whether there is one."""
        times = [one.deadline for one in self.actors if one.deadline is not None]
        if not times:
            return False
        self.now = max(self.now, min(times))
        return True

    def _bury(self) -> None:
        """Let the actors of dead processes unwind; no step of theirs does anything."""
        for actor in [one for one in self.actors if one.process.dead]:
            self.current = actor
            if actor.greenlet:
                actor.greenlet.throw(Killed())
            else:
                actor.done = True
            self.current = None
        self.actors = [one for one in self.actors if not one.done]
