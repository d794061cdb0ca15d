# SPDX-License-Identifier: Apache-2.0
"""What is known when Cinder's database comes back from an earlier dump."""

import math
from typing import Any

import pytest

from tests.chaos.book import Book
from tests.chaos.checker import check
from tests.chaos.earlier import Dump
from tests.chaos.guest import disks
from tests.chaos.history import Access, Block, History, Operation


@pytest.fixture
def book(tmp_path):
    return Book(tmp_path)


def _given(book, *names):
    for name in names:
        book.holds(name)
        book.given(Access(name, "host", "volume", writes=True))


def _access(book, name):
    return book.history(5).access()[name]


def test_dump_knows_the_attachments_and_which_of_them_have_a_host():
    rows: list[dict[str, Any]] = [
        {"id": "a", "connector": "{}", "deleted": 0},
        {"id": "b", "connector": None, "deleted": 0},
        {"id": "c", "connector": "{}", "deleted": 1},
    ]
    assert Dump({"volume_attachment": rows}).attachments() == {"a": True, "b": False}


@pytest.mark.parametrize("known", [{}, {"a": False}])
def test_attachment_that_the_database_lost_ends_when_nobody_tells(book, known):
    _given(book, "a")
    now = book.now()
    assert book.database_is_earlier(now, known) == set()
    assert _access(book, "a").given_up == now
    book.giving_up("a")
    book.ended("a")  # the API says that there is no such attachment
    assert (_access(book, "a").given_up, _access(book, "a").ended) == (now, math.inf)


def test_attachment_that_the_database_knows_goes_on(book):
    _given(book, "a")
    assert book.database_is_earlier(7, {"a": True}) == set()
    access = _access(book, "a")
    assert (access.given_up, access.ended, access.back) == (math.inf,) * 3
    book.ended("a")
    assert _access(book, "a").ended < math.inf


@pytest.mark.parametrize("fenced", [False, True])
@pytest.mark.parametrize(
    "place", [("host", "volume"), ("other", "volume"), ("host", "x")]
)
def test_attachment_that_the_database_lost_may_keep_another_in(book, place, fenced):
    host, volume = place
    _given(book, "a")
    book.database_is_earlier(book.now(), {})
    book.given(Access("b", host, volume, writes=True))
    book.ended("b", fenced=fenced)
    access = _access(book, "b")
    kept = place == ("host", "volume") and not fenced
    assert (access.ended <= access.back < math.inf) is kept


def test_nobody_is_kept_in_for_longer_than_it_takes(book, monkeypatch):
    _given(book, "a", "b")
    book.database_is_earlier(book.now(), {"b": True})
    now = book.now()
    monkeypatch.setattr(book, "now", lambda: now + 601)
    book.ended("b")
    assert _access(book, "b").back == math.inf


def test_attachment_that_came_back_may_have_access_again(book):
    _given(book, "a", "b")
    for name in ("a", "b"):
        book.giving_up(name)
        book.ended(name)
        book.lets_go(name)
    assert book.database_is_earlier(7, {"a": True, "c": False}) == {"a", "c"}
    assert (_access(book, "a").back, _access(book, "b").back) == (7, math.inf)
    book.database_is_earlier(9, {"a": True})
    assert _access(book, "a").back == 7


def _write(number, invoked, completed):
    block = Block("volume", 1)
    return Operation("a", block, f"a/{number}", None, invoked, completed)


def _laws(*operations):
    access = Access("a", "host", "volume", True, ended=4, given_up=3, back=10)
    return [one.law for one in check(History(operations, (access,)))]


def test_write_between_the_end_of_access_and_its_coming_back_is_found():
    assert _laws(_write(1, 5, 6)) == ["a write after the end of access"]
    assert _laws(_write(1, 11, 12)) == []


def test_write_that_waits_may_land_when_access_came_back():
    blank = Operation("a", Block("volume", 1), None, "", 5, 6)
    seen = Operation("a", Block("volume", 1), None, "a/1", 12, 13)
    assert _laws(_write(1, 3, math.inf), blank, seen) == []
    # What came to its end before cannot.
    assert _laws(_write(1, 3, 7), blank, seen) == ["no order of one disk"]


def test_slow_disk_is_where_the_disk_was():
    assert disks.slowed("0 2097152 linear 98:0 2048", 20) == (
        "0 2097152 delay 98:0 2048 20"
    )
    with pytest.raises(ValueError, match="snapshot-origin"):
        disks.slowed("0 2097152 snapshot-origin 252:3", 20)


def test_room_of_a_thin_pool_is_counted_in_its_chunks():
    status = "0 8388608 thin-pool 1 12/1024 40/4096 - rw no_discard_passdown - 1024"
    table = "0 8388608 thin-pool 252:1 252:2 2048 0 0"
    assert disks.room(status, table) == (2**20, 4096, 4056)
