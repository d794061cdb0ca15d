# SPDX-License-Identifier: Apache-2.0
"""The part of the cases that a run takes, where all of them would take too long.

A test that tells one story in several ways is marked ``in_turn(N)``: a usual run takes
an N-th of its cases, by the time that they take, and the next run's turn, which is the
next day's, others. Tests that are marked ``in_turn(N, of=WHAT)`` are the cases of one
set: of their file, if that is ``file``.
"""

import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.lab import durations

Seconds = Callable[[Any], float]

#: Names the variable with the number of a run's turn.
VARIABLE = "TAIKUN_LAB_TURN"

_DAY = 86400.0


def fix() -> None:
    """Choose the turn for all processes of this run: midnight may come meanwhile.

    Raises:
        pytest.UsageError: what the variable has is no number.
    """
    os.environ[VARIABLE] = os.environ.get(VARIABLE) or str(int(time.time() / _DAY))
    try:
        number()
    except ValueError as error:
        raise pytest.UsageError(f"{VARIABLE} must be a whole number: {error}") from None


def number() -> int:
    """Give the number of this run's turn."""
    return int(os.environ[VARIABLE])


def part(cases: Sequence[Any], turns: int, seconds: Seconds) -> Sequence[Any]:
    """Give the cases of this turn: all have been in one after so many turns.

    Args:
        cases: all.
        turns: how many there are.
        seconds: tells how long a case takes. Each turn gets about the same.
    """
    shares: list[list[Any]] = [[] for _ in range(min(turns, len(cases)))]
    loads = [0.0] * len(shares)
    for case in sorted(cases, key=seconds, reverse=True):
        least = loads.index(min(loads))
        shares[least].append(case)
        loads[least] += seconds(case)
    own = shares[number() % len(shares)]
    return [case for case in cases if case in own]


def left_out(
    items: Sequence[pytest.Item], seconds: Seconds = durations.of
) -> list[pytest.Item]:
    """Give the cases that are another turn's."""
    sets: dict[Any, list[pytest.Item]] = {}
    turns = {}
    for item in items:
        if marker := item.get_closest_marker("in_turn"):
            one = _set_of(item, **marker.kwargs)
            sets.setdefault(one, []).append(item)
            (turns[one],) = marker.args
    left = []
    for one, cases in sets.items():
        taken = part(cases, turns[one], seconds)
        left += [case for case in cases if case not in taken]
    return left


def _set_of(item: pytest.Item, of: str = "") -> Any:
    if of:
        return item.path if of == "file" else of
    return item.parent, getattr(item, "originalname", item.name)
