# SPDX-License-Identifier: Apache-2.0
"""A fence is about all that its host had when it was made, and about nothing else."""

import dataclasses
import math

import pytest

from taikun_cinder.access.attachment import Attachment, Connection
from taikun_cinder.access.fence import Fence, unfenced
from taikun_cinder.access.grants import grants
from taikun_cinder.access.ledger import Ledger
from taikun_cinder.access.model import Credentials, Grant, Initiator, Mode

A, B = (Initiator(f"iqn.2026-11.com.example:{name}") for name in "ab")
PAIR = Credentials("name", "password")


def _row(number, initiator=A):
    return Attachment(
        f"{number}", "host", initiator, True, f"mark {number}", credentials=PAIR
    )


def _nameless(number):
    return Attachment(f"{number}", "host", None, connected=True)


def _answer(number, initiator=A, *, rows=(), server=None):
    grant = Grant(initiator, PAIR, Mode.RW)
    mark = f"mark {number}"
    return Connection(mark, grant, 0, server=server, rows=frozenset(rows))


def _settled(attachments=(), connections=()):
    return Fence(A, frozenset(attachments), frozenset(connections), settled=True)


def test_fence_is_about_rows_answers_and_what_is_missing_of_its_host():
    ledger = Ledger(
        (_answer(3, rows={"3"}, server="s"), _answer(4, B, rows={"4"})),
        attachments={A: frozenset({"missing"}), B: frozenset({"another's"})},
    )
    fence = Fence(A).settle([_row(1), _row(2, B)], ledger)
    assert fence == _settled({"1", "missing", "3"}, {"mark 3"})


@pytest.mark.parametrize("server", [None, "mark 3"])
def test_fence_is_about_rows_without_a_host_if_they_may_be_its_hosts(server):
    rows = [_row(1), _nameless(2)]
    ledger = Ledger((_answer(3, server=server),))
    assert Fence(A).settle(rows, ledger).attachments == {"1", "2"}


def test_fence_is_not_about_rows_without_a_host_that_are_anothers():
    rows = [_row(1), _nameless(2)]
    for ledger in Ledger((_answer(3, server="server"),)), Ledger((_answer(3, B),)):
        assert Fence(A).settle(rows, ledger).attachments == {"1"}


def test_fence_is_not_about_rows_that_its_hosts_answer_turned_out_not_to_be_for():
    answer = _answer(1, rows={"1", "2"}, server="mark 1")
    fence = Fence(A).settle([_row(1), _nameless(2)], Ledger((answer,)))
    assert fence == _settled({"1"}, {"mark 1"})


def test_fence_knows_by_the_record_what_it_has_ended_though_its_rows_are_missing():
    ends = (("1", math.inf), ("2", math.inf), ("3", 5))
    ledger = Ledger(ended={(number, f"mark {number}"): end for number, end in ends})
    fence = Fence(A).settle([_row(2, B)], ledger)
    assert fence == _settled({"1"})
    assert not fence.is_over((), (), ledger)


def test_fence_adds_to_what_it_was_about_before():
    again = _settled({"before"}, {"mark 0"}).renewed()
    ledger = Ledger((_answer(3, server="server"),))
    assert again.settle([_row(1)], ledger) == _settled(
        {"before", "1"}, {"mark 0", "mark 3"}
    )


def test_what_comes_after_a_fence_counts():
    fence = Fence(A).settle([_row(1)], Ledger())
    for rows in [_row(1)], [_row(1), _row(2, B)]:
        let_in = grants(rows, fence.applied(rows, Ledger()))
        assert A not in {grant.initiator for grant in let_in}
    rows = [_row(1), _row(2)]
    applied = fence.applied(rows, Ledger())
    assert {grant.initiator for grant in grants(rows, applied)} == {A}
    assert applied.ended.keys() == {("1", "mark 1")}


def test_fence_ends_no_answer_for_another_host():
    ledger = Ledger((_answer(1, server="s"), _answer(2, B)), ended={("9", "mark 9"): 5})
    applied = Fence(A).applied([_row(3)], ledger)
    assert [one.identity for one in applied.connections] == ["mark 2"]
    assert ("9", "mark 9") in applied.ended
    assert unfenced(applied) == dataclasses.replace(
        ledger, connections=applied.connections
    )


def test_host_is_kept_out_until_it_got_something_since():
    fence = _settled({"1"}, {"mark 1"})
    before = Ledger((_answer(1),), attachments={A: frozenset({"1"})})
    another = Ledger((_answer(5, B),), attachments={B: frozenset({"5"})})
    for ledger in Ledger(), before, another:
        assert fence.keeps_out(ledger)
    assert not fence.keeps_out(Ledger(attachments={A: frozenset({"1", "2"})}))
    assert not fence.keeps_out(Ledger((_answer(2),)))
    assert fence.renewed().keeps_out(Ledger((_answer(2),)))


def test_fence_is_over_when_nothing_is_left_of_what_it_is_about():
    fence = _settled({"1", "2"}, {"mark 1"})
    assert fence.is_over({"3"}, {"1", "2"}, Ledger((_answer(2),)))
    assert fence.is_over(set(), {"0", "1", "2"}, Ledger((_answer(1, B),)))
    assert not fence.is_over({"2"}, {"1", "2"}, Ledger())
    assert not fence.is_over(set(), {"1"}, Ledger())
    assert not fence.is_over(set(), {"1", "2"}, Ledger((_answer(1),)))
    assert not fence.renewed().is_over(set(), {"1", "2"}, Ledger())


def test_fence_refuses_what_is_for_an_attachment_that_it_is_about():
    fence = _settled({"1", "2"})
    for rows in {"1"}, {"1", "2"}, ():
        assert fence.refuses(_answer(5, rows=rows))
        assert not fence.refuses(_answer(5, B, rows=rows))
    assert not fence.refuses(_answer(5, rows={"1", "3"}))
    assert fence.renewed().refuses(_answer(5, rows={"3"}))
