# SPDX-License-Identifier: Apache-2.0
"""The first caller does the work of all that wait, and none waits in vain."""

import threading

import pytest

from taikun_cinder.batches import Batches
from tests.unit.cloud import in_threads


class Gate:
    """Work that is held up until it is let go, and remembers what it was given."""

    def __init__(self):
        self.batches = []
        self.open = threading.Event()
        self.reached = threading.Event()

    def work(self, items):
        self.batches.append(list(items))
        self.reached.set()
        assert self.open.wait(10)
        if "bad" in items:
            raise ValueError("bad")
        return [item.upper() for item in items]


def _others_wait(batches, number):
    (queue,) = batches._queues.values()
    deadline = threading.Event()
    for _ in range(1000):
        if len(queue.waiting) == number:
            return
        deadline.wait(0.01)
    raise AssertionError(f"{len(queue.waiting)} wait")


def _told(batches, items, gate):
    """Do all items, the others while the first one is at work; give their answers."""
    told = {}

    def ask(item):
        try:
            told[item] = batches.do("volume", item)
        except ValueError as error:
            told[item] = error

    first = threading.Thread(target=ask, args=(items[0],))
    first.start()
    assert gate.reached.wait(10)
    rest = [threading.Thread(target=ask, args=(item,)) for item in items[1:]]
    for thread in rest:
        thread.start()
    _others_wait(batches, len(rest))
    gate.open.set()
    for thread in (first, *rest):
        thread.join(10)
    return told


def test_those_who_wait_are_served_together():
    gate = Gate()
    told = _told(Batches(gate.work), ["a", "b", "c", "d"], gate)
    assert told == {"a": "A", "b": "B", "c": "C", "d": "D"}
    assert [sorted(batch) for batch in gate.batches] == [["a"], ["b", "c", "d"]]


def test_one_that_cannot_be_done_does_not_spoil_the_others():
    gate = Gate()
    told = _told(Batches(gate.work), ["a", "bad", "c"], gate)
    assert (told["a"], told["c"]) == ("A", "C")
    assert isinstance(told["bad"], ValueError)


def test_what_was_taken_by_one_who_was_killed_is_done_after_all():
    class KilledError(BaseException):
        pass

    done = []

    def work(items):
        done.append(list(items))
        if len(done) == 1:
            raise KilledError
        return items

    batches = Batches(work)
    with pytest.raises(KilledError):
        batches.do("volume", "first")
    assert batches.do("volume", "second") == "second"
    assert done == [["first"], ["second"]]


def test_keys_do_not_wait_for_each_other_and_nothing_is_kept():
    inner = []

    def work(items):
        if items == ["outer"]:
            inner.append(batches.do("another volume", "inner"))
        return items

    batches = Batches(work)
    assert batches.do("volume", "outer") == "outer"
    assert inner == ["inner"]
    in_threads(*(lambda: batches.do("volume", "x") for _ in range(8)))
    assert batches._queues == {}
