# SPDX-License-Identifier: Apache-2.0
"""A termination ends at most what it meant, told as stories of unmarked connectors."""

import dataclasses

import pytest

from taikun_cinder.access.attachment import Attachment
from taikun_cinder.access.grants import grants
from taikun_cinder.access.ledger import Ledger
from taikun_cinder.access.model import Credentials, Initiator, Mode
from taikun_cinder.access.termination import (
    DELETED_WITHIN,
    OPEN,
    REPEATED_WITHIN,
)

A, B = (Initiator(f"iqn.2026-11.com.example:{name}") for name in "ab")
PAIR = Credentials("name", "password")
#: The identities of two connectors without a mark.
BY_HAND, BACKUP = "connector by hand", "connector of a backup"


def _row(number, initiator=A):
    mark = f"mark {number}"
    return Attachment(f"{number}", "host", initiator, True, mark, Mode.RW, PAIR)


def _nameless(number):
    return Attachment(f"nameless {number}", "host", None, connected=True)


def _reserved(number):
    return Attachment(f"reserved {number}", "host", None, connected=False)


def _with_connection(rows=(), connector=BACKUP, ledger=None, number=1):
    ledger = ledger or Ledger()
    return ledger.attach(
        rows, A, f"mark of {connector} {number}", Mode.RW, 0, connector=connector
    )


def _with_lost_answer(rows, server):
    return Ledger().attach(rows, A, "mark", Mode.RW, 0, server=server, connector="c")


def _end(ledger, rows, identity, now=1, **how):
    how = {"connector": identity, "marked": False, **how}
    return ledger.prune(rows).detach(rows, A, identity, now, **how)


def _lets_in(ledger, rows):
    return A in {grant.initiator for grant in grants(rows, ledger.prune(rows))}


def _has_connection(ledger):
    return bool(ledger.connections)


@pytest.mark.parametrize("force", [False, True])
def test_backup_that_ends_twice_keeps_the_server_on_its_host(force):
    rows = [_row(1)]
    ledger = _with_connection(rows)
    for now in (1, 2, 50):
        ledger = _end(ledger, rows, BACKUP, now, force=force)
        assert not _has_connection(ledger)
        assert _lets_in(ledger, rows)


def test_operator_who_repeats_himself_keeps_the_next_server_of_the_host():
    rows = [_row(1)]
    ledger = _end(Ledger(), rows, BY_HAND)
    assert not _lets_in(ledger, rows)
    rows = [_row(2)]
    ledger = _end(ledger, rows, BY_HAND, 2)
    assert _lets_in(ledger, rows)
    assert not _lets_in(_end(ledger, rows, BY_HAND, 3 + REPEATED_WITHIN), rows)


def test_repeated_around_the_deletion_of_one_of_two_rows():
    rows = [_row(1), _row(2)]
    ledger = _end(Ledger(), rows, BY_HAND)
    assert _lets_in(ledger, rows)
    ledger = _end(ledger, rows[1:], BY_HAND, 2)
    assert _lets_in(ledger, rows[1:])


@pytest.mark.parametrize("waits", [False, True])
def test_answer_that_was_lost_keeps_a_host_in_as_long_as_its_row_is_there(waits):
    rows, reserved = [_row(1)], _reserved(2)
    ledger = _with_lost_answer([*rows, reserved], reserved.server)
    rows += [reserved] if waits else []
    ledger = _end(ledger, rows, BY_HAND, gone=() if waits else {reserved.id})
    assert _has_connection(ledger) is waits
    assert _lets_in(ledger, rows) is waits


def test_answer_that_was_lost_with_its_row_is_all_that_a_call_can_mean():
    reserved = _reserved(2)
    ledger = _with_lost_answer([reserved], reserved.server)
    assert not _has_connection(_end(ledger, [], BY_HAND, gone={reserved.id}))


def test_row_that_is_not_known_to_be_gone_may_be_an_answers():
    rows, reserved = [_row(1)], _reserved(2)
    ledger = _with_lost_answer([*rows, reserved], reserved.server)
    ledger = _end(ledger, rows, BY_HAND)
    assert _has_connection(ledger)
    assert _lets_in(ledger, rows)


def test_row_and_connection_of_one_host_are_not_guessed_between():
    rows = [_row(1)]
    ledger = _end(_with_connection(rows), rows, BY_HAND)
    assert _has_connection(ledger)
    assert _lets_in(ledger, rows[:0])
    assert _lets_in(ledger, rows)


def test_the_one_thing_that_a_host_has_is_meant():
    assert not _lets_in(_end(_with_connection(), [], BY_HAND), [])
    assert not _lets_in(_end(Ledger(), [_row(1)], BY_HAND), [_row(1)])
    # Also before its row shows what the host was told.
    shown = [Attachment("1", "host", A, True, f"mark of {BACKUP} 1")]
    assert not _lets_in(_end(_with_connection(), shown, BY_HAND), shown)


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("marked", [False, True])
def test_end_of_a_backup_that_has_ended_ends_no_server(number, marked):
    rows = [_row(number) for number in range(number)] + [_row(3, B)]
    ledger = _end(Ledger(), rows, BACKUP, force=True)
    identity = "mark of a backup" if marked else BACKUP
    how = {"connector": BACKUP, "marked": marked, "force": True}
    ledger = _end(ledger, rows, identity, 2 * REPEATED_WITHIN, **how)
    hosts = {row.initiator for row in rows}
    assert {grant.initiator for grant in grants(rows, ledger)} == hosts


def test_end_of_a_backup_ends_no_row_with_the_same_connector():
    # The in-tree driver's rows have no mark.
    rows = [dataclasses.replace(_row(1), identity=BACKUP)]
    assert _lets_in(_end(Ledger(), rows, BACKUP, force=True), rows)
    ledger = _end(_with_connection(rows), rows, BACKUP, force=True)
    assert not _has_connection(ledger)
    assert _lets_in(ledger, rows)


@pytest.mark.parametrize("rows", [[_nameless(1)], [_reserved(1)]])
def test_end_of_a_backup_ends_none_that_may_be_a_servers(rows):
    ledger = Ledger().attach(rows, A, "mark", Mode.RW, 0, rows[0].server, connector="")
    ledger = _end(ledger, rows, BACKUP, force=True)
    assert _has_connection(ledger)
    adopted = dataclasses.replace(ledger.connections[0], server=None)
    ledger = dataclasses.replace(ledger, connections=(adopted,))
    assert _has_connection(_end(ledger, rows, BACKUP, force=True))
    # Once there is no such attachment, it is the backup's.
    assert not _has_connection(_end(ledger, [_row(1)], BACKUP, force=True))


def test_end_of_a_backup_ends_one_that_is_idle_last():
    rows = [_row(1)]
    ledger = _with_connection(rows)
    idle = dataclasses.replace(ledger.connections[0], idle=True)
    ledger = dataclasses.replace(ledger, connections=(idle,))
    ledger = _with_connection(rows, ledger=ledger, number=2)
    ledger = _end(ledger, rows, BACKUP, force=True)
    assert [one.idle for one in ledger.connections] == [True]
    assert not _has_connection(_end(ledger, rows, BACKUP, 2, force=True))


def test_end_of_a_backup_ends_it_before_a_server_by_the_same_connector():
    rows = [_nameless(1)]
    ledger = Ledger().attach(
        rows, A, "mark", Mode.RW, 0, rows[0].server, connector=BACKUP
    )
    ledger = _end(_with_connection(rows, ledger=ledger), rows, BACKUP, force=True)
    assert [one.server for one in ledger.connections] == [rows[0].server]
    assert _has_connection(_end(ledger, rows, BACKUP, 2, force=True))


def test_end_of_a_server_ends_it_before_a_backup_by_the_same_connector():
    rows = [_nameless(1)]
    ledger = _with_connection(rows).attach(
        rows, A, "mark", Mode.RW, 0, rows[0].server, connector=BACKUP
    )
    ledger = _end(ledger, rows, BACKUP)
    assert [one.server for one in ledger.connections] == [None]


def test_mark_means_its_own_beside_a_row_without_a_host():
    rows = [_row(1), _nameless(2)]
    ledger = Ledger().detach(rows, A, "mark 1", 1)
    assert not _lets_in(ledger, rows)
    ledger = Ledger().attach(rows[1:], A, "mark 3", Mode.RW, 0, connector=BACKUP)
    ledger = ledger.detach(rows[1:], A, "mark 3", 1, connector=BACKUP)
    assert not _has_connection(ledger)


def test_detach_ends_what_its_server_was_answered_before_and_no_others():
    row = dataclasses.replace(_row(1), instance_uuid="one")
    ledger = Ledger()
    for server in "one", "two":
        ledger = ledger.attach(
            [row], A, f"mark of {server}", Mode.RW, 0, server, connector=BACKUP
        )
    ledger = ledger.attach([row], A, "mark", Mode.RW, 0, "one", connector=BY_HAND)
    ledger = ledger.detach([row], A, "mark 1", 1, connector=BACKUP)
    left = [(one.server, one.connector) for one in ledger.connections]
    assert left == [("two", BACKUP), ("one", BY_HAND)]


def test_by_force_a_mark_still_means_its_own():
    rows = [_row(1), _row(2)]
    ledger = Ledger().detach(rows, A, "mark 1", 1, force=True)
    assert _lets_in(ledger, rows)
    ledger = ledger.prune(rows[1:]).detach(rows[1:], A, "mark 1", 2, force=True)
    assert _lets_in(ledger, rows[1:])
    assert not _lets_in(ledger.detach(rows[1:], A, "mark 2", 3, force=True), rows[1:])


def test_servers_by_the_old_api_end_one_by_one():
    rows = [_nameless(1), _nameless(2)]
    ledger = _with_connection(rows)
    ledger = _with_connection(rows, ledger=ledger, number=2)
    ledger = _end(ledger, rows, BACKUP)
    # Repeated before the row of the first is deleted.
    ledger = _end(ledger, rows, BACKUP, 2)
    assert _has_connection(ledger)
    ledger = _end(ledger, rows[1:], BACKUP, 3)
    assert not _lets_in(ledger, rows[1:])


def test_one_connector_does_not_mean_a_connection_of_another():
    ledger = _with_connection(connector="connector of nova")
    ledger = _with_connection(ledger=ledger)
    ledger = _end(ledger, [], BACKUP)
    ledger = _end(ledger, [], BACKUP, 2)
    (left,) = ledger.connections
    assert left.connector == "connector of nova"


def test_what_was_answered_is_forgotten_after_a_while():
    ledger = _end(_with_connection(), [], BACKUP)
    assert ledger.ended
    assert ledger.expire([], (), 30, 5, 5).ended
    assert not ledger.expire([], (), 100, 5, 5).ended


def _waits_no_more(ledger):
    return not any(note == OPEN for note, _ in ledger.ended)


def test_call_that_is_only_repeated_leaves_nothing_to_settle():
    ledger = _end(Ledger(), [_row(1)], BY_HAND)
    again = [_row(2)]
    ledger = _end(ledger, again, BY_HAND, 2)
    assert _lets_in(ledger.prune(again).settle(again, 3), again)


def test_call_that_is_only_repeated_is_settled_by_its_own_request_alone():
    ledger = _end(Ledger(), [_row(1)], BY_HAND, request="req-1")
    again = [_row(2)]
    ledger = _end(ledger, again, BY_HAND, 2, request="req-2")
    assert _lets_in(ledger, again)
    for request in ("", "req-1", "req-3"):
        assert _lets_in(ledger.settle(again, 3, request), again)
    assert not _lets_in(ledger.settle(again, 3, "req-2"), again)


def test_backup_that_ends_twice_settles_nothing_by_its_remove_export():
    rows = [_row(1)]
    ledger = _with_connection(rows)
    for now, request in ((1, "req-1"), (2, "req-2")):
        ledger = _end(ledger, rows, BACKUP, now, force=True, request=request)
        ledger = ledger.settle(rows, now, request)
        assert _lets_in(ledger, rows)


def test_calls_that_end_nothing_are_not_noted_for_ever():
    rows = [_row(1), _row(2)]
    ledger = Ledger()
    for number in range(20):
        now = number * (REPEATED_WITHIN + 1)
        ledger = _end(ledger, rows, BY_HAND, now, request=f"req-{number}")
    assert set(ledger.ended.values()) == {now}


def _hosts(ledger, rows):
    return {grant.initiator for grant in grants(rows, ledger.prune(rows))}


@pytest.mark.parametrize("request_id", ["", "req-2"])
def test_two_that_are_force_detached_one_after_the_other_are_both_out(request_id):
    rows = [_row(1), _row(2), _row(3, B)]
    ledger = _end(Ledger(), rows, BY_HAND, request="req-1")
    ledger = ledger.settle(rows, 1, "req-1")
    assert _hosts(ledger, rows) == {A, B}
    ledger = _end(ledger, rows[1:], BY_HAND, 2, request="req-2")
    ledger = ledger.settle(rows[1:], 2, request_id)
    assert _hosts(ledger, rows[1:]) == {B}
    # A row that stays all the same is an attachment after all.
    assert _hosts(ledger.expire(rows[1:], (), 9, 5, 5), rows[1:]) == {A, B}


@pytest.mark.parametrize("is_gone", [False, True])
def test_remove_export_settles_beside_an_answer_whose_row_is_gone(is_gone):
    rows, reserved = [_row(1), _row(2)], _reserved(3)
    ledger = _with_lost_answer([*rows, reserved], reserved.server)
    ledger = _end(ledger, rows, BY_HAND, request="req-1")
    ledger = ledger.settle(rows[1:], 2, "req-1", {reserved.id} if is_gone else ())
    assert _has_connection(ledger) is not is_gone
    assert _lets_in(ledger, rows[1:]) is not is_gone


def test_remove_export_that_comes_late_or_beside_a_connection_settles_nothing():
    rows = [_row(1), _row(2)]
    ledger = _end(Ledger(), rows, BY_HAND).prune(rows[1:])
    assert _hosts(ledger.settle(rows[1:], 1 + DELETED_WITHIN), rows[1:]) == set()
    assert _hosts(ledger.settle(rows[1:], 2 + DELETED_WITHIN), rows[1:]) == {A}
    beside = _with_connection(rows[1:], ledger=ledger)
    assert _hosts(beside.settle(rows[1:], 2), rows[1:]) == {A}
    assert _has_connection(beside.settle(rows[1:], 2))


def test_row_that_waits_for_its_deletion_is_settled_already():
    rows = [_row(1), _row(2)]
    ledger = _end(Ledger(), rows, BY_HAND, request="req-1")
    ledger = ledger.prune(rows[:1]).detach(rows[:1], A, "mark 1", 2)
    assert ledger.settle(rows[:1], 3, "req-1").ended[rows[0].key] == 2


def test_what_its_row_shows_without_credentials_is_settled_with_it():
    shown = [Attachment("1", "host", A, True, f"mark of {BACKUP} 1")]
    ledger = _end(Ledger(), [_row(8), _row(9)], BY_HAND)
    ledger = _with_connection(ledger=ledger).prune(shown).settle(shown, 2)
    assert not _has_connection(ledger)
    assert _hosts(ledger, shown) == set()


def test_detach_that_says_what_it_means_leaves_nothing_to_settle():
    rows = [_row(1), _row(2)]
    ledger = _end(Ledger(), rows, BY_HAND)
    assert not _waits_no_more(ledger)
    ledger = ledger.detach(rows, A, "mark 1", 2)
    assert _waits_no_more(ledger)
    assert _lets_in(ledger.prune(rows[1:]).settle(rows[1:], 3), rows[1:])


def test_last_unclear_call_is_what_a_remove_export_comes_after():
    rows = [_row(1), _row(2), _row(3, B), _row(4, B)]
    ledger = _end(Ledger(), rows, BY_HAND)
    # A detach that is repeated when its row is gone says nothing of it.
    assert not _waits_no_more(ledger.detach(rows, A, "mark 9", 2))
    ledger = ledger.detach(rows, B, "connector of B", 2, marked=False)
    assert {name for note, name in ledger.ended if note == OPEN} == {str(B)}


@pytest.mark.parametrize("now", [2, 2 + REPEATED_WITHIN])
def test_row_that_waits_for_its_deletion_is_what_an_unclear_call_is_about(now):
    rows = [_row(1), _row(2)]
    ledger = Ledger().detach(rows, A, "mark 1", 1)
    ledger = _end(ledger, rows, BY_HAND, now)
    assert _lets_in(ledger, rows[1:])
    assert _lets_in(ledger.settle(rows, now + 1), rows[1:])


def test_call_about_a_row_that_waits_ends_no_other_when_that_is_gone():
    rows = [_row(1), _row(2)]
    ledger = Ledger().detach(rows, A, "mark 1", 1)
    ledger = _end(ledger, rows, BY_HAND, 2, request="req-1")
    for request in ("", "req-1"):
        settled = ledger.prune(rows[1:]).settle(rows[1:], 3, request)
        assert _lets_in(settled, rows[1:])
    assert _lets_in(_end(ledger, rows[1:], BY_HAND, 3), rows[1:])


def test_what_nobody_knows_the_connector_of_ends_one_by_one_and_before_a_server():
    rows = [_row(1)]
    ledger = _with_connection(rows, connector="")
    ledger = _with_connection(rows, connector="", ledger=ledger, number=2)
    newest = ledger.connections[1]
    for now in (1, 2, 1 + REPEATED_WITHIN):
        ledger = _end(ledger, rows, BY_HAND, now)
        assert ledger.connections == (newest,)
    ledger = _end(ledger, rows, BY_HAND, 2 + REPEATED_WITHIN)
    assert not _has_connection(ledger)
    assert _lets_in(ledger, rows)


def test_connection_beside_a_server_lasts_as_long_as_their_session():
    rows = [_row(1)]
    ledger = _with_connection(rows)
    ledger = ledger.expire(rows, {A}, 1000, 5, 5)
    assert _has_connection(ledger)
    ledger = _end(ledger, rows, BACKUP, 1001)
    assert not _has_connection(ledger)
    assert _lets_in(ledger, rows)
    assert not _has_connection(_with_connection(rows).expire(rows, (), 1000, 5, 5))
