# SPDX-License-Identifier: Apache-2.0
"""The decisions of a run: who goes next, and what fails. They are all there is of it.

A decision has a key: the actor that was at work, and the number of its step. An actor
is named by the operation that began it, so that the keys of others stay the same when
an operation is left out of a run (``shrink``). Only what differs from the usual is
written down: usually an actor goes on until it waits, and nothing fails.
"""

import dataclasses
import random
from collections.abc import Sequence
from typing import Protocol

#: An operation of a story: its kind, and its arguments by name.
Op = tuple[str, dict[str, str]]

#: Choices beside the id of an actor: the next operation begins, or time passes.
BEGIN, PASS = "begin", "pass"

#: Ends the process of the actor, or the power of its node; with what becomes of files.
KILL, POWER = "kill", "power"


@dataclasses.dataclass(frozen=True)
class Rates:
    """How often something happens at a step, from 0 to 1.

    Attributes:
        switch: another actor goes on.
        fault: the step fails in one of its ways.
        kill: the process of the actor is killed.
        power: its node loses its power.
    """

    switch: float = 0.0
    fault: float = 0.0
    kill: float = 0.0
    power: float = 0.0


class Decisions(Protocol):
    """Decides on a run, step by step.

    A step's ``share`` says how much less than usual happens at it, from 0 to 1.

    Attributes:
        taken: what was decided, by key.
    """

    taken: dict[str, str]

    def go_on(self, key: str, others: Sequence[str], share: float = 1.0) -> str:
        """Say who goes on: empty for the usual one, or one of the others."""
        ...

    def fault(
        self, key: str, ways: Sequence[str], *, mortal: bool, share: float = 1.0
    ) -> str:
        """Say in which way a step fails; empty for none."""
        ...


class Random:
    """Decides by chance, and writes down what is not usual."""

    def __init__(self, source: random.Random, rates: Rates) -> None:
        self._random = source.random
        self._choice = source.choice
        self.rates = rates
        self.taken: dict[str, str] = {}

    def go_on(self, key: str, others: Sequence[str], share: float = 1.0) -> str:
        """Say who goes on: empty for the usual one, or one of the others."""
        if not others or self._random() >= self.rates.switch * share:
            return ""
        return self._take(key, self._choice(others))

    def fault(
        self, key: str, ways: Sequence[str], *, mortal: bool, share: float = 1.0
    ) -> str:
        """Say in which way a step fails; empty for none."""
        number = self._random() / share
        if mortal:
            if number < self.rates.kill:
                return self._take(key, KILL)
            number -= self.rates.kill
            if number < self.rates.power:
                return self._take(key, f"{POWER} {self._choice('0123')}")
            number -= self.rates.power
        if not ways or number >= self.rates.fault:
            return ""
        return self._take(key, self._choice(ways))

    def _take(self, key: str, what: str) -> str:
        self.taken[key] = what
        return what


class Replay:
    """Decides as was written down; a decision that does not fit any more is none."""

    def __init__(self, wanted: dict[str, str]) -> None:
        self._wanted = wanted
        self.taken: dict[str, str] = {}

    def go_on(self, key: str, others: Sequence[str], share: float = 1.0) -> str:
        """Say who goes on: empty for the usual one, or one of the others."""
        what = self._wanted.get(key, "")
        return self._take(key, what) if what in others else ""

    def fault(
        self, key: str, ways: Sequence[str], *, mortal: bool, share: float = 1.0
    ) -> str:
        """Say in which way a step fails; empty for none."""
        what = self._wanted.get(key, "")
        if what in ways or (mortal and what.partition(" ")[0] in (KILL, POWER)):
            return self._take(key, what)
        return ""

    def _take(self, key: str, what: str) -> str:
        if what:
            self.taken[key] = what
        return what
