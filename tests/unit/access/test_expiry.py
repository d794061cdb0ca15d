# SPDX-License-Identifier: Apache-2.0
"""How long a connection lasts that nobody ended, told by what a reconcile sees."""

import dataclasses

import pytest

from taikun_cinder.access.attachment import Attachment, Connection
from taikun_cinder.access.expiry import Moment, lasting
from taikun_cinder.access.model import Credentials, Grant, Initiator, Mode

A, B, C = (Initiator(f"iqn.2026-11.com.example:{name}") for name in "abc")
NOW, AGE, PATIENCE = 1000.0, 60.0, 300.0


def _row(number, server, initiator=None, *, connected=None):
    connected = initiator is not None if connected is None else connected
    return Attachment(f"{number}", "host", initiator, connected, instance_uuid=server)


def _nameless(number):
    return Attachment(f"{number}", "host", None, connected=True)


def _answer(server, initiator=A, *, since=NOW, **more):
    grant = Grant(initiator, Credentials("name", "password"), Mode.RW)
    return Connection(f"mark {server}", grant, since, server=server, **more)


def _left(connections, rows=(), sessions=(), deleted=()):
    moment = Moment(rows, {*sessions}, NOW, AGE, PATIENCE, {*deleted})
    return list(lasting(connections, moment))


def test_answer_for_a_row_that_cinder_deleted_is_over_at_once():
    answer = _answer("one", rows=frozenset({"1"}))
    again = [_row(2, "one")]
    assert _left([answer], again, {A}) == [answer]
    assert _left([answer], again, {A}, deleted={"1"}) == []
    assert _left([answer], [], {A}) == []


def test_answer_for_a_server_that_connected_elsewhere_is_over_after_a_while():
    young, old = _answer("one"), _answer("one", since=NOW - AGE - 1)
    elsewhere = [_row(1, "one", B)]
    last = _answer("one", since=NOW - AGE)
    for one in young, last:
        assert _left([one], elsewhere, {A, B}) == [one]
    assert _left([old], elsewhere, {A, B}) == []
    # Another of its rows has no connector yet, and may be the one.
    waits = [*elsewhere, _row(2, "one")]
    assert _left([old], waits, {A, B}) == [dataclasses.replace(old, since=NOW)]


def test_answer_for_one_of_several_is_over_when_none_of_them_waits():
    candidates = frozenset({"one", "two"})
    answer = _answer(None, since=NOW - AGE - 1, candidates=candidates)
    answer = dataclasses.replace(answer, server=answer.identity)
    named = [_row(1, "one", B), _row(2, "two", B)]
    assert _left([answer], named, {A, B}) == []
    waits = [_row(1, "one", B), _row(2, "two")]
    assert len(_left([answer], waits, {A, B})) == 1


def test_session_that_no_attachment_explains_keeps_its_connection():
    old = _answer(None, since=0)
    assert _left([old], [_row(1, "one", B)], {A}) == [
        dataclasses.replace(old, since=NOW)
    ]
    assert _left([old], [_row(1, "one", B)], {B}) == []


def test_connection_beside_an_attachment_of_its_host_becomes_idle():
    rows = [_row(1, "one", A)]
    copy = _answer(None, since=0, connector="connector of a copy")
    (idle,) = _left([copy], rows, {A})
    assert idle == dataclasses.replace(copy, idle=True)
    assert _left([idle], rows, {A}) == [idle]
    assert _left([idle], rows) == []
    # Of what is not known by what it was made, no end can be another's.
    assert _left([dataclasses.replace(copy, connector="")], rows, {A}) == []


def test_connection_lasts_as_long_as_its_row_or_its_host_may_need():
    waits = [_row(1, "one")]
    for limit, rows in (AGE, waits), (PATIENCE, []):
        server = "one" if rows else None
        last = _answer(server, since=NOW - limit)
        assert _left([last], rows) == [last]
        assert _left([dataclasses.replace(last, since=NOW - limit - 1)], rows) == []


@pytest.mark.parametrize(
    ("connector", "is_kept"), [("", True), ("connector of a backup", False)]
)
def test_attachment_without_a_host_keeps_what_may_be_its_own(connector, is_kept):
    old = _answer(None, since=0, connector=connector)
    assert bool(_left([old], [_nameless(1)])) is is_kept
    # The host that is there explains it.
    there = _answer(None, B, since=0)
    assert _left([old, there], [_nameless(1)], {B}) == [
        dataclasses.replace(there, since=NOW)
    ]


def test_session_may_be_that_of_an_attachment_without_a_host():
    old = _answer("one", since=0)
    rows = [_row(1, "one", B), _nameless(2)]
    assert _left([old], rows, {A, B}) == [dataclasses.replace(old, since=NOW)]
    assert _left([old], rows, {B}) == []
    # Another host may be the one, which is no more than one that is idle.
    other = _answer(None, C, since=NOW)
    assert _left([old, other], rows, {A, B}) == [other]
    idle = dataclasses.replace(other, idle=True)
    assert len(_left([old, idle], rows, {A, B, C})) == 2


def test_one_that_is_over_ends_no_other():
    idle = _answer(None, since=0, connector="connector of a copy", idle=True)
    young = _answer(None, B)
    assert _left([idle, young]) == [young]


def test_what_its_row_shows_lasts_with_the_row():
    shown = _answer("one", since=0, shown=True)
    assert _left([shown]) == [shown]
