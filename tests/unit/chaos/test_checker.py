# SPDX-License-Identifier: Apache-2.0
"""The checker finds each fault that is planted, and makes none up."""

import itertools
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.chaos.checker import check
from tests.chaos.history import (
    BLANK,
    Access,
    Block,
    Excuse,
    History,
    Operation,
    unattached,
    value,
)

BLOCK = Block("volume", 7)
WRITER = Access("w", "host1", "volume", writes=True)
OTHER = Access("o", "host2", "volume", writes=True)
READER = Access("r", "host3", "volume", writes=False)


def write(by, number, invoked, completed, *, failed=False):
    return Operation(
        by.attachment,
        BLOCK,
        value(by.attachment, number),
        None,
        invoked,
        completed,
        failed,
    )


def read(by, seen, invoked, completed):
    return Operation(by.attachment, BLOCK, None, seen, invoked, completed)


def laws(*operations, accesses=(WRITER, OTHER, READER), **named):
    found = check(History(operations, accesses, **named))
    assert all(str(one) for one in found)
    return [one.law for one in found]


def test_what_one_disk_does_is_no_fault():
    assert (
        laws(
            read(READER, BLANK, 0, 1),
            write(WRITER, 1, 0.5, 2),
            read(READER, "w/1", 1.5, 1.9),
            write(OTHER, 1, 3, 5),
            read(READER, "w/1", 3.5, 4),  # the other one is not there yet
            read(WRITER, "o/1", 4.1, 6),
        )
        == []
    )


def test_lost_write_is_found():
    assert laws(
        write(WRITER, 1, 0, 1), write(OTHER, 1, 2, 3), read(READER, "w/1", 4, 5)
    ) == ["no order of one disk"]


def test_acknowledged_write_that_is_not_there_at_the_end_is_found():
    assert laws(write(WRITER, 1, 0, 1), read(READER, BLANK, 2, 3)) == [
        "no order of one disk"
    ]


def test_stale_read_is_found():
    assert laws(
        write(WRITER, 1, 0, 1),
        write(WRITER, 2, 2, 3),
        read(READER, "w/2", 2.1, 2.3),
        read(OTHER, "w/1", 2.5, 2.6),
        read(READER, "w/2", 4, 5),
    ) == ["no order of one disk"]


def test_two_values_that_take_turns_are_found():
    assert laws(
        write(WRITER, 1, 0, 9),
        write(OTHER, 1, 0, 9),
        read(READER, "w/1", 1, 2),
        read(READER, "o/1", 3, 4),
        read(READER, "w/1", 5, 6),
    ) == ["no order of one disk"]


def test_write_whose_end_is_not_known_may_come_late_or_never():
    unknown = write(WRITER, 1, 0, math.inf)
    assert laws(unknown, read(READER, BLANK, 5, 6)) == []
    assert laws(unknown, read(READER, BLANK, 5, 6), read(READER, "w/1", 7, 8)) == []
    assert laws(unknown, write(OTHER, 1, 1, 2), read(READER, "w/1", 7, 8)) == []


def test_write_that_lands_after_the_end_of_its_access_is_found():
    fenced = Access("w", "host1", "volume", writes=True, ended=4.0, given_up=3.0)
    begun = write(fenced, 1, 2, math.inf)
    seen = (
        write(OTHER, 1, 5, 6),
        read(READER, "o/1", 6.5, 6.6),
        read(READER, "w/1", 7, 8),
    )
    named = {"accesses": (fenced, OTHER, READER)}
    assert laws(begun, *seen, **named) == ["no order of one disk"]
    # It is found when only the value before it was seen after the fence.
    assert laws(begun, read(READER, BLANK, 5, 6), seen[-1], **named) == [
        "no order of one disk"
    ]
    # It may land before the fence returns.
    assert laws(begun, read(READER, BLANK, 2, 3), seen[-1], **named) == []


@pytest.mark.parametrize("completed", [6, math.inf])
def test_write_that_begins_after_the_end_of_its_access_is_found(completed):
    fenced = Access("w", "host1", "volume", writes=True, ended=4.0, given_up=3.0)
    late = write(fenced, 1, 5, completed)
    named = {"accesses": (fenced, OTHER, READER)}
    law = "a write after the end of access"
    assert laws(late, read(READER, "w/1", 7, 8), **named) == [law]
    assert laws(late, **named) == ([law] if completed < math.inf else [])


def test_write_of_a_reader_is_found():
    by_reader = write(READER, 1, 1, 2)
    assert laws(by_reader) == ["a reader wrote"]
    refused = write(READER, 1, 1, 2, failed=True)
    assert laws(refused) == []
    assert laws(refused, read(OTHER, "r/1", 3, 4)) == ["a reader wrote"]


def test_failed_write_that_is_seen_is_found():
    named = {"excuses": [Excuse("host1", 0, 3, "its path was cut")]}
    failed = write(WRITER, 1, 1, 2, failed=True)
    assert laws(failed, **named) == []
    assert laws(failed, read(OTHER, "w/1", 3, 4), **named) == [
        "a failed write was done"
    ]


@pytest.mark.parametrize("seen", ["torn", "x/1", "w/99"])
def test_data_that_nobody_wrote_are_found(seen):
    assert laws(read(READER, seen, 1, 2)) == ["foreign data"]


def test_value_that_is_seen_before_it_was_written_is_found():
    assert laws(read(READER, "w/1", 1, 2), write(WRITER, 1, 3, 4)) == [
        "read before it was written"
    ]


def test_error_and_long_wait_of_an_attached_host_are_found():
    error = read(READER, None, 1, math.inf)
    assert laws(error, patience=5) == ["an error"]
    slow = write(WRITER, 1, 1, 9)
    assert laws(slow, patience=5) == ["a long wait"]
    assert laws(slow, patience=9) == []
    excuses = [Excuse(None, 8, 20, "a power cut")]
    assert laws(slow, error, patience=5, excuses=excuses) == []
    elsewhere = [Excuse("host3", 0, 20, "its path was cut")]
    assert laws(slow, error, patience=5, excuses=elsewhere) == ["a long wait"]
    other = [Excuse(None, 8, 20, "its disk did not answer", "another")]
    assert laws(slow, patience=5, excuses=other) == ["a long wait"]
    given_up = Access("w", "host1", "volume", writes=True, given_up=4.0)
    assert laws(slow, patience=5, accesses=(given_up, READER)) == []


def test_look_where_the_volume_lives_may_take_its_time_but_not_be_wrong():
    look = unattached("snapshot", "volume")
    named = {"accesses": (WRITER, look), "patience": 5}
    assert laws(read(look, BLANK, 0, 60), **named) == []
    late = (write(WRITER, 1, 0, 1), read(look, BLANK, 2, 60))
    assert laws(*late, **named) == ["no order of one disk"]


def test_what_is_no_history_is_refused():
    twice = [write(WRITER, 1, 0, 1), write(WRITER, 1, 2, 3)]
    with pytest.raises(ValueError, match="twice"):
        laws(*twice)
    with pytest.raises(ValueError, match="attachment w"):
        laws(accesses=[WRITER, WRITER])


def _can_be_ordered(operations):
    """Try all orders, which is what the checker is to be compared with."""
    unknown = [one for one in operations if one.wrote and one.completed == math.inf]
    known = [one for one in operations if one not in unknown]
    return any(
        _fits(order)
        for number in range(len(unknown) + 1)
        for some in itertools.combinations(unknown, number)
        for order in itertools.permutations([*known, *some])
    )


def _fits(order):
    has = BLANK
    for at, one in enumerate(order):
        if any(later.completed < one.invoked for later in order[at + 1 :]):
            return False
        if one.wrote is not None:
            has = one.wrote
        elif one.read != has:
            return False
    return True


@st.composite
def _histories(draw):
    """Draw up to six operations on one block, which may or may not have an order."""
    times = st.integers(0, 8)
    writes = []
    for number in range(draw(st.integers(0, 3))):
        begin = draw(times)
        end = draw(st.one_of(st.just(math.inf), st.integers(begin + 1, 10)))
        # Halves: no end is another's begin, about which the two may well differ.
        writes.append(write(WRITER, number, begin, end + 0.5))
    reads = []
    for _ in range(draw(st.integers(1, 3))):
        begin = draw(times)
        seen = draw(st.sampled_from([BLANK, *(one.wrote for one in writes)]))
        reads.append(read(READER, seen, begin, draw(st.integers(begin, 10)) + 0.5))
    return [*writes, *reads]


@settings(max_examples=500)
@given(_histories())
def test_it_says_what_a_search_through_all_orders_says(operations):
    found = check(History(tuple(operations), (WRITER, READER)))
    assert (not found) == _can_be_ordered(operations), operations


@given(st.integers(0, 2**32))
def test_history_of_a_real_register_has_no_fault(seed):
    chance = random.Random(seed)  # noqa: S311 - no secret
    has, now, operations = BLANK, 0.0, []
    for number in range(200):
        now += chance.random()
        begin, end = now - 3 * chance.random(), now + 3 * chance.random()
        if chance.random() < 0.4:
            has = value("w", number)
            known = chance.random() < 0.8
            operations.append(write(WRITER, number, begin, end if known else math.inf))
        else:
            operations.append(read(READER, has, begin, end))
    assert check(History(tuple(operations), (WRITER, READER))) == []
