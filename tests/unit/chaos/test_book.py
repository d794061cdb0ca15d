# SPDX-License-Identifier: Apache-2.0
"""The notes of a run, and its picture."""

import contextlib
import json
import math
import re

import pytest

from tests.chaos import timeline
from tests.chaos.book import Book
from tests.chaos.checker import check
from tests.chaos.history import Access, Block
from tests.chaos.logs import Clock
from tests.chaos.run import Outcome


@pytest.fixture
def now(monkeypatch):
    """The machine's clock, which the test sets."""
    clock = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    return clock


@pytest.fixture
def book(now, tmp_path):
    """The book of a run that began at 1000 s."""
    return Book(tmp_path)


def _access(book):
    (found,) = book.history(5).accesses
    return found


def test_access_ends_with_the_first_that_ended_it(book, now):
    book.given(Access("a", "host", "volume", writes=True))
    assert (_access(book).given_up, _access(book).ended) == (math.inf, math.inf)
    for at in (3, 5):
        now[0] = 1000.0 + at
        book.giving_up("a")
        now[0] += 1
        book.ended("a")
    assert (_access(book).given_up, _access(book).ended) == (3, 4)


def test_end_of_what_had_no_access_yet_is_none(book):
    book.giving_up("b")
    book.ended("b")
    assert book.history(5).accesses == ()


def test_excuse_lasts_beyond_its_fault(book, now):
    with contextlib.suppress(OSError), book.excuse("host", "power", after=30):
        now[0] += 10
        raise OSError
    (excuse,) = book.history(5).excuses
    assert (excuse.host, excuse.since, excuse.until) == ("host", 0, 40)


def test_history_has_what_workers_logged(book, now, tmp_path):
    book.given(Access("a", "host", "volume", writes=True))
    book.works("w", "a", Clock(least=5, most=5))
    begun = {"block": 3, "wrote": "a/0", "at": 1}
    (tmp_path / "w.log").write_text(json.dumps(begun))
    (operation,) = book.history(5).operations
    assert (operation.invoked, operation.block) == (6, Block("volume", 3))


def test_picture_shows_who_had_it_what_broke_and_what_went_wrong(book, now):
    book.given(Access("a", "host<1>", "volume-1", writes=True))
    lane = "host<1>, volume volume-1"
    with book.during("faults", "MariaDB <stopped>"):
        now[0] += 10
    book.note(lane, "rw a", 2)
    book.note(lane, "refused & gone", 11, good=False)
    book.note("keeper", "clone", 11)
    book.looked("look", "volume-1", ["x/1"], 5, 6)
    history = book.history(5)
    outcome = Outcome(history, check(history), ["left <b>"], {}, {"attached rw": 1}, 10)
    page = timeline.page(outcome, book.events, {"seed": "7"})
    assert "promises were broken" in page
    for text in ("foreign data", "left &lt;b&gt;", "refused &amp; gone", "seed"):
        assert text in page
    assert not re.search("<stopped>|host<1>|left <b>", page)
    kinds = re.findall(r'<rect class="(\w+)"', page)
    assert sorted(kinds) == ["bad", "deed", "fault", "rw"]
    assert page.count("<line class=law") == 1


def test_good_run_is_told_to_be_one(book):
    outcome = Outcome(book.history(5), [], [], {}, {}, 60)
    assert "all promises were kept" in timeline.page(outcome, [], {})
