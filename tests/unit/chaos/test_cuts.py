# SPDX-License-Identifier: Apache-2.0
"""A copy is the volume at one time, or is found not to be."""

import math
import random

from hypothesis import given
from hypothesis import strategies as st

from tests.chaos.checker import check
from tests.chaos.history import (
    BLANK,
    Access,
    Block,
    History,
    Operation,
    unattached,
    value,
)

WRITER = Access("w", "host1", "volume", writes=True)
COPY = unattached("copy", "volume")


def _write(block, number, invoked, completed):
    at = Block("volume", block)
    return Operation("w", at, value("w", number), None, invoked, completed)


def _copy(begun, ended, *values):
    return [
        Operation("copy", Block("volume", block), None, seen, begun, ended)
        for block, seen in enumerate(values)
    ]


def _laws(*operations, copies=("copy",)):
    history = History(operations, (WRITER, COPY), copies=copies)
    return [one.law for one in check(history)]


def test_copy_of_one_time_is_no_fault():
    writes = _write(0, 1, 1, 2), _write(1, 2, 3, 4)
    for seen in ((BLANK, BLANK), ("w/1", BLANK), ("w/1", "w/2")):
        assert _laws(*writes, *_copy(0, 9, *seen)) == []


def test_copy_with_a_later_write_and_without_an_earlier_one_is_found():
    writes = _write(0, 1, 1, 2), _write(1, 2, 3, 4)
    late = _copy(0, 9, BLANK, "w/2")
    assert _laws(*writes, *late) == ["no copy of one time"]
    # Block by block it is in order, as a look that takes its time may find it.
    assert _laws(*writes, *late, copies=()) == []


def test_writes_at_the_same_time_may_be_in_a_copy_in_any_way():
    writes = _write(0, 1, 1, 4), _write(1, 2, 3, 5)
    assert _laws(*writes, *_copy(0, 9, BLANK, "w/2")) == []


def test_write_whose_end_nobody_knows_need_not_be_in_a_copy():
    unknown = _write(0, 1, 1, math.inf)
    writes = unknown, _write(1, 2, 3, 4)
    late = _copy(0, 9, BLANK, "w/2")
    assert _laws(*writes, *late) == []
    # Unless it was seen before the later one began.
    seen = Operation("w", Block("volume", 0), None, "w/1", 2, 2.5)
    assert _laws(*writes, seen, *late) == ["no copy of one time"]


@given(st.integers(0, 2**32))
def test_copy_of_a_real_disk_has_no_fault(seed):
    chance = random.Random(seed)  # noqa: S311 - no secret
    disk, now, operations = [BLANK] * 3, 0.0, []
    at = chance.randrange(60)
    for number in range(60):
        now += chance.random()
        begin, end = now - 3 * chance.random(), now + 3 * chance.random()
        block = chance.randrange(3)
        disk[block] = value("w", number)
        known = chance.random() < 0.8
        operations.append(_write(block, number, begin, end if known else math.inf))
        if number == at:
            operations += _copy(now - 5, now + 5, *disk)
    assert _laws(*operations) == []
