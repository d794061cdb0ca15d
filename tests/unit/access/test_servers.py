# SPDX-License-Identifier: Apache-2.0
"""The servers of a volume, as the rules count them, and those of a new connection."""

import dataclasses

from taikun_cinder.access.attachment import Attachment, Connection, Disks
from taikun_cinder.access.ledger import Ledger
from taikun_cinder.access.machine import UNKNOWN, Machine
from taikun_cinder.access.model import Credentials, Grant, Initiator, Mode
from taikun_cinder.access.rules import Use
from taikun_cinder.access.servers import candidates, machines, unasked, uses

A, B = (Initiator(f"iqn.2026-11.com.example:{name}") for name in "ab")
PAIR = Credentials("name", "password")
HERE, THERE = Machine("compute1", "192.0.2.1"), Machine("compute2", "192.0.2.2")


def _row(number, server, initiator=None, mode=Mode.RW, machine=UNKNOWN):
    connected = initiator is not None
    mark = f"mark {number}" if connected else None
    pair = PAIR if connected else None
    return Attachment(
        f"{number}",
        "host",
        initiator,
        connected,
        mark,
        mode,
        pair,
        server,
        machine=machine,
    )


def _answer(number, server, initiator=A, mode=Mode.RW, **more):
    grant = Grant(initiator, PAIR, mode)
    return Connection(f"mark {number}", grant, 0, server=server, **more)


def _uses(rows=(), *answers, ended=()):
    return list(uses(rows, Ledger(tuple(answers), ended=dict.fromkeys(ended, 0))))


def test_row_is_its_servers_use_unless_it_ended_or_waits():
    rows = [_row(1, "one", A), _row(2, "two", B, Mode.RO), _row(3, "three")]
    assert _uses(rows) == [Use("one", A, writes=True), Use("two", B, writes=False)]
    nameless = Attachment("4", "host", None, connected=True)
    assert _uses([nameless]) == [Use("attachment 4", None, writes=True)]
    assert _uses(rows, ended=[rows[0].key]) == [Use("two", B, writes=False)]


def test_server_writes_by_what_it_was_answered_or_has_kept():
    row = _row(1, "one", A, Mode.RO)
    assert _uses([row], _answer(1, "one")) == [Use("one", A, writes=True)]
    undecided = _answer(1, "one", mode=Mode.RO, undecided=True)
    assert _uses([row], undecided) == [Use("one", A, writes=True, undecided=True)]
    kept = row.keeping(Disks(A, Mode.RW))
    assert _uses([kept]) == [Use("one", A, writes=True)]
    told_to_read = _row(1, "one", A), _answer(1, "one", mode=Mode.RO)
    assert _uses([told_to_read[0]], told_to_read[1]) == [Use("one", A, writes=False)]


def test_answer_that_no_row_shows_is_a_use_and_cinders_own_is_none():
    waits = [_row(1, "one")]
    own, idle = _answer(8, None), _answer(9, "two", idle=True)
    answer = _answer(7, "one", mode=Mode.RO, rows=frozenset({"1"}))
    assert _uses(waits, answer, own, idle) == [Use("one", A, writes=False)]
    # Its attachment is gone: the server may have left that host.
    assert _uses([], answer) == [Use("one", A, writes=False, attached=False)]
    nowhere = dataclasses.replace(answer, rows=frozenset(), undecided=True)
    assert _uses([], nowhere) == [Use("one", A, writes=True, undecided=True)]


def test_nobody_inherits_from_an_answer_that_may_be_a_repeated_one_of_another():
    waits, connected = _row(2, "two"), _row(1, "one", A)
    answer = _answer(7, "two", rows=frozenset({"2"}))
    *_, guessed = _uses([connected, waits], answer)
    assert guessed == Use("two", A, writes=True, undecided=True)
    on_another_host = _row(1, "one", B)
    its_own = _row(1, "two", A)
    for sure in (on_another_host, its_own):
        *_, use = _uses([sure, waits], answer)
        assert use == Use("two", A, writes=True)


def test_host_with_more_than_was_asked_for_counts_as_a_server():
    rows = [_row(1, "one", A, Mode.RO)]
    reads, writes = Grant(A, PAIR, Mode.RO), Grant(A, PAIR, Mode.RW)
    gone = Grant(B, PAIR, Mode.RW)
    assert list(unasked([reads], rows, Ledger())) == []
    assert list(unasked([writes, gone], rows, Ledger())) == [
        Use(f"host {A}", A, writes=True),
        Use(f"host {B}", B, writes=True),
    ]
    both = dataclasses.replace(writes, readers_disk=True)
    assert list(unasked([both], [_row(1, "one", A)], Ledger())) == [
        Use(f"host {A}", A, writes=False)
    ]
    only_reads = dataclasses.replace(gone, mode=Mode.RO)
    assert list(unasked([only_reads], [], Ledger())) == [
        Use(f"host {B}", B, writes=False)
    ]


def test_machines_that_use_a_volume_by_one_name():
    rows = [_row(1, "one", A, machine=HERE), _row(2, "two", B, machine=THERE)]
    known = {A: HERE, B: THERE}
    assert list(machines(rows, Ledger(machines=known), A)) == [HERE]
    ended = Ledger(machines=known, ended={rows[0].key: 0})
    assert list(machines(rows, ended, A)) == []
    # By an answer, or by an attachment that is missing.
    answered = Ledger((_answer(7, "one"),), machines=known)
    assert list(machines([], answered, A)) == [HERE]
    assert list(machines([], answered, B)) == []
    missing = Ledger(machines=known, attachments={A: frozenset({"1"})})
    assert list(machines([], missing, A)) == [HERE]
    assert list(machines(rows, missing, A)) == [HERE]
    assert list(machines([], Ledger((_answer(7, "one"),)), A)) == [UNKNOWN]


def test_new_connection_is_for_a_row_that_waits_and_was_not_answered():
    rows = [_row(1, "one"), _row(2, "two"), _row(3, "three", A)]
    assert candidates(rows, Ledger(), A) == {"one", "two"}
    answered = Ledger((_answer(7, "one", B, rows=frozenset({"1"})),))
    assert candidates(rows, answered, A) == {"two"}
    # It may be repeated by the host that was answered.
    assert candidates(rows, answered, B) == {"one", "two"}
    shown = Ledger((_answer(7, "one", B, rows=frozenset({"1"}), shown=True),))
    assert candidates(rows, shown, A) == {"one", "two"}


def test_connection_that_is_repeated_is_for_any_that_waits_or_the_host_has():
    rows = [_row(1, "one"), _row(3, "three", A), _row(4, "four", B)]
    answered = Ledger((_answer(7, "one", B, rows=frozenset({"1"})),))
    assert candidates(rows, answered, A) == {"one", "three"}
    ended = dataclasses.replace(answered, ended={rows[1].key: 0})
    assert candidates(rows, ended, A) == {"one"}
    assert candidates(rows[1:], Ledger(), A) == {"three"}
    assert candidates([], Ledger(), A) == frozenset()
