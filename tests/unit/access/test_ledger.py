# SPDX-License-Identifier: Apache-2.0
"""The hosts that may reach a volume, told as stories."""

import dataclasses
import hmac

import pytest

from taikun_cinder.access.attachment import Attachment, new_credentials
from taikun_cinder.access.grants import grants
from taikun_cinder.access.ledger import Ledger
from taikun_cinder.access.machine import Machine
from taikun_cinder.access.model import (
    Credentials,
    Grant,
    HostState,
    Initiator,
    Mode,
    Sealed,
)

A, B = (Initiator(f"iqn.2026-11.com.example:{name}") for name in "ab")
OLD = Credentials("in-tree", "shared-by-all")


def _attachment(identity, initiator=A, credentials=OLD, mode=Mode.RW):
    return Attachment(
        f"id of {identity}", "host", initiator, True, identity, mode, credentials
    )


def _sealed(credentials=OLD, key=b"key"):
    digest = hmac.digest(key, credentials.password.encode(), "sha256")
    return Sealed(credentials.username, digest, key)


def _initiators(attachments, ledger):
    return {grant.initiator for grant in grants(attachments, ledger)}


def _credentials(attachments, ledger):
    return {grant.initiator: grant.credentials for grant in grants(attachments, ledger)}


def _host_state(*, session=True, credentials=OLD, mode=Mode.RW):
    return HostState(mode, credentials, session)


def test_two_detaches_at_once_on_one_host_leave_nothing():
    # Both are ended before the API deletes either row.
    attachments = [_attachment("mark 1"), _attachment("mark 2")]
    ledger = Ledger().detach(attachments, A, "mark 1", 1)
    assert _initiators(attachments, ledger) == {A}
    assert _initiators(attachments, ledger.detach(attachments, A, "mark 2", 2)) == set()


def test_detach_that_cinder_repeats_ends_no_other():
    attachments = [_attachment("mark 1"), _attachment("mark 2")]
    ledger = Ledger()
    for now in range(3):
        ledger = ledger.detach(attachments, A, "mark 1", now)
    assert _initiators(attachments, ledger) == {A}


def test_detach_overtaken_by_another_attach_does_not_concern_it():
    attachments = [_attachment("mark 1")]
    ledger = Ledger().detach(attachments, A, "mark 1", 1)
    ledger = ledger.attach(attachments, B, "mark 2", Mode.RW, 2)
    assert _initiators(attachments, ledger) == {B}


def test_reserved_attachment_gives_and_keeps_nothing():
    attachments = [
        _attachment("mark 1"),
        Attachment("2", "host", None, connected=False),
    ]
    assert (
        _initiators(attachments, Ledger().detach(attachments, A, "mark 1", 1)) == set()
    )


def test_first_attaches_at_once_get_one_pair_on_one_host_and_two_on_two():
    # Neither row is written yet.
    ledger = Ledger().attach([], A, "mark 1", Mode.RW, 1)
    first = _credentials([], ledger)[A]
    ledger = ledger.attach([], A, "mark 2", Mode.RW, 2)
    ledger = ledger.attach([], B, "mark 3", Mode.RW, 3)
    assert _credentials([], ledger)[A] == first
    assert _credentials([], ledger)[B] != first


def test_host_that_comes_back_gets_new_credentials_even_before_its_row_is_gone():
    attachments = [_attachment("mark 1")]
    ledger = Ledger().detach(attachments, A, "mark 1", 1)
    ledger = ledger.attach(attachments, A, "mark 2", Mode.RW, 2)
    assert _credentials(attachments, ledger)[A] != OLD


def test_further_server_on_a_taken_over_host_shares_what_the_host_has():
    attachments = [_attachment("connector 1")]
    ledger = Ledger().attach(attachments, A, "mark 2", Mode.RW, 1)
    assert _credentials(attachments, ledger)[A] == OLD
    attachments = [*attachments, _attachment("mark 2")]
    ledger = ledger.prune(attachments).detach(attachments, A, "connector 1", 2)
    assert _initiators(attachments, ledger) == {A}
    assert _initiators(attachments, ledger.detach(attachments, A, "mark 2", 3)) == set()


def test_twins_taken_over_are_told_apart_by_their_rows_going():
    attachments = [
        _attachment("connector 1"),
        Attachment("2", "host", A, True, "connector 1"),
    ]
    ledger = Ledger().detach(attachments, A, "connector 1", 1)
    assert _initiators(attachments, ledger) == {A}
    ledger = ledger.prune(attachments[:1]).detach(attachments[:1], A, "connector 1", 2)
    assert _initiators(attachments[:1], ledger) == set()


def test_twins_detached_at_once_are_out_when_their_rows_are():
    attachments = [
        _attachment("connector 1"),
        Attachment("2", "host", A, True, "connector 1"),
    ]
    ledger = Ledger().detach(attachments, A, "connector 1", 1)
    ledger = ledger.detach(attachments, A, "connector 1", 2)
    assert _initiators(attachments, ledger) == {A}
    assert _initiators([], ledger.prune([])) == set()


def test_detach_with_a_foreign_connector_ends_an_only_attachment():
    only, two = [_attachment("mark 1")], [_attachment("mark 1"), _attachment("mark 2")]
    assert _initiators(only, Ledger().detach(only, A, "x", 1, marked=False)) == set()
    assert _initiators(only, Ledger().detach(only, A, "x", 1)) == {A}
    assert _initiators(two, Ledger().detach(two, A, "x", 1, marked=False)) == {A}


def test_detach_of_all_leaves_nobody_and_the_next_attach_is_new():
    attachments = [_attachment("mark 1"), _attachment("mark 2", B)]
    ledger = (
        Ledger().attach(attachments, B, "mark 3", Mode.RW, 1).detach_all(attachments, 2)
    )
    assert _initiators(attachments, ledger) == set()
    ledger = ledger.attach(attachments, A, "mark 4", Mode.RW, 3)
    assert _credentials(attachments, ledger)[A] != OLD


def test_writing_ends_with_the_attachment_that_allowed_it():
    attachments = [_attachment("mark 1"), _attachment("mark 2", mode=Mode.RO)]
    assert {grant.mode for grant in grants(attachments, Ledger())} == {Mode.RW}
    ledger = Ledger().detach(attachments, A, "mark 1", 1)
    assert {grant.mode for grant in grants(attachments, ledger)} == {Mode.RO}


def test_live_connection_without_a_row_is_adopted_after_a_restart_only():
    acls = {A: _host_state(session=True), B: _host_state(session=False)}
    assert _initiators([], Ledger().adopt([], acls, 1)) == {A}
    assert _initiators([], Ledger()) == set()


def test_adopted_connection_ends_with_its_detach_or_its_session():
    ledger = Ledger().adopt([], {A: _host_state(mode=Mode.RO)}, 1)
    assert {grant.mode for grant in grants([], ledger)} == {Mode.RO}
    assert _initiators([], ledger.expire([], {A}, 9, 0, 0)) == {A}
    assert _initiators([], ledger.expire([], {}, 9, 0, 0)) == set()
    assert _initiators([], ledger.detach([], A, "x", 2)) == set()


def test_connection_without_a_row_outlives_a_short_loss_of_its_session():
    ledger = Ledger().adopt([], {A: _host_state()}, 1)
    ledger = ledger.expire([], {A}, 1000, 60, 60)
    assert _initiators([], ledger.expire([], {}, 1060, 60, 60)) == {A}
    assert _initiators([], ledger.expire([], {}, 1061, 60, 60)) == set()


def test_connection_ends_with_its_attachment_though_its_answer_was_lost():
    waiting = [Attachment("1", "host", None, connected=False, instance_uuid="one")]
    ledger = Ledger().attach(waiting, A, "mark 1", Mode.RW, 1, "one")
    assert _initiators(waiting, ledger.expire(waiting, {}, 1, 60, 300)) == {A}
    assert _initiators([], ledger.expire([], {A}, 1, 60, 300)) == set()


def test_hosts_without_an_attachment_have_time_to_log_in():
    ledger = Ledger().attach([], A, "mark 1", Mode.RW, 0, None)
    assert _initiators([], ledger.expire([], {}, 300, 60, 300)) == {A}
    assert _initiators([], ledger.expire([], {}, 301, 60, 300)) == set()


def test_answer_that_its_row_does_not_show_in_time_is_over():
    waiting = [Attachment("1", "host", None, connected=False, instance_uuid="one")]
    ledger = Ledger().attach(waiting, A, "mark 1", Mode.RW, 0, "one")
    assert _initiators(waiting, ledger.expire(waiting, {}, 60, 60, 300)) == {A}
    assert _initiators(waiting, ledger.expire(waiting, {}, 61, 60, 300)) == set()


def _waiting(server="one"):
    return Attachment("1", "host", None, connected=False, instance_uuid=server)


def test_answer_ends_with_the_attachment_that_cinder_deleted():
    ledger = Ledger().attach([_waiting()], A, "mark 1", Mode.RW, 0, "one")
    assert ledger.without_deleted({"2"}) == ledger
    assert ledger.without_deleted({"1", "2"}).connections == ()
    again = [dataclasses.replace(_waiting(), id="2")]
    assert _initiators(again, ledger.expire(again, {}, 1, 60, 300)) == {A}
    assert _initiators(again, ledger.expire(again, {}, 1, 60, 300, {"1"})) == set()


@pytest.mark.parametrize(
    ("candidates", "there", "deleted", "had"),
    [
        ((), [], {}, {"0", "1"}),
        # Cinder deleted it, its row is there, or it may be another's.
        ((), [], {"1"}, {"0"}),
        ((), [_waiting("another")], {}, {"0"}),
        (("one", "two"), [], {}, {"0"}),
    ],
)
def test_host_had_the_attachment_that_its_answer_was_for_and_that_is_missing(
    candidates, there, deleted, had
):
    ledger = Ledger(attachments={A: frozenset({"0"}), B: frozenset({"9"})}).attach(
        [_waiting()],
        A,
        "mark 1",
        Mode.RW,
        0,
        "mark 1" if candidates else "one",
        candidates=frozenset(candidates),
    )
    ledger = ledger.expire(there, {}, 999, 60, 60, deleted)
    assert ledger.connections == ()
    assert ledger.attachments == {A: had, B: {"9"}}


def test_clock_that_starts_again_leaves_no_time_ahead():
    ledger = Ledger(ended={("1", "mark"): 100}, absent={A: 10, B: 100})
    ledger = ledger.attach([], B, "mark 1", Mode.RW, 100).look([A, B], (), 100)
    ledger = dataclasses.replace(ledger, absent={A: 10, B: 100})
    for changed, earlier, later in (
        (ledger.not_after(50), 10, 50),
        (ledger.as_of(7), 7, 7),
    ):
        assert changed.ended == {("1", "mark"): later}
        assert changed.absent == {A: earlier, B: later}
        assert [one.since for one in changed.connections] == [later]


def test_attachments_that_name_nobody_keep_all_who_were_there():
    attachments = [Attachment("1", "metal1", None, connected=True)]
    ledger = Ledger().adopt(
        attachments, {A: _host_state(session=False), B: _host_state()}, 1
    )
    assert _initiators(attachments, ledger.expire(attachments, {}, 9, 0, 0)) == {A, B}
    assert _initiators(attachments, ledger.detach(attachments, A, "x", 2)) == {B}


def test_credentials_that_no_row_shows_yet_are_taken_from_the_kernel():
    attachments = [_attachment("mark 1", credentials=None, mode=Mode.RO)]
    ledger = Ledger().adopt(attachments, {A: _host_state(session=False)}, 1)
    (grant,) = grants(attachments, ledger)
    assert (grant.credentials, grant.mode) == (OLD, Mode.RO)
    assert ledger.prune([_attachment("mark 1")]).connections == ()
    assert grants(attachments, Ledger()) == frozenset()


def test_ended_row_that_stays_is_an_attachment_again_after_a_while():
    attachments = [_attachment("mark 1")]
    ledger = Ledger().detach(attachments, A, "mark 1", 5)
    assert _initiators(attachments, ledger.expire(attachments, {}, 5, 0, 0)) == set()
    assert _initiators(attachments, ledger.expire(attachments, {}, 6, 0, 0)) == {A}


def test_ended_row_that_is_attached_again_counts():
    attachments = [_attachment("mark 1")]
    ledger = Ledger().detach(attachments, A, "mark 1", 1)
    again = [Attachment(attachments[0].id, "host", A, True, "mark 2", Mode.RW, OLD)]
    assert _initiators(again, ledger.prune(again)) == {A}


def test_credentials_are_random_and_not_shown():
    first, second = new_credentials(), new_credentials()
    assert first != second
    assert first.password not in f"{first} {first!r}"
    assert len(first.password) > 32


def test_credentials_never_look_like_an_encoded_number():
    # LIO refuses a login with a name that begins with 0x or 0b: one in 256 would.
    pairs = [new_credentials() for _ in range(2000)]
    assert all(pair.username[0].isalpha() for pair in pairs)
    assert all(pair.password[0].isalpha() for pair in pairs)


def test_detach_that_names_nothing_ends_one_connection_of_several():
    ledger = Ledger().attach([], A, "mark 1", Mode.RW, 1)
    ledger = ledger.attach([], A, "mark 2", Mode.RW, 2)
    ledger = ledger.detach([], A, "x", 3)
    assert _initiators([], ledger) == {A}
    assert _initiators([], ledger.detach([], A, "x", 4)) == set()


def test_answer_counts_more_than_a_row_with_the_credentials_of_before():
    ledger = Ledger().attach([], A, "mark 1", Mode.RW, 1)
    told = _credentials([], ledger)[A]
    attachments = [_attachment("mark 1")]
    ledger = ledger.prune(attachments)
    assert _credentials(attachments, ledger)[A] == told != OLD


def test_sealed_credentials_are_those_that_they_are_and_tell_no_password():
    assert _sealed() == OLD
    assert len({OLD, _sealed()}) == 1
    assert _sealed() != Credentials(OLD.username, "another")
    assert _sealed() != Credentials("another", OLD.password)
    assert OLD.password not in repr(_sealed())
    assert _sealed().opened([new_credentials(), OLD]) == OLD
    assert not _sealed().opened([new_credentials()]).known


def test_pair_that_a_row_of_another_host_shows_is_recovered():
    """The in-tree driver gave all hosts of a volume one pair."""
    attachments = [_attachment("1"), _attachment("2", B, None)]
    hosts = {host: _host_state(credentials=_sealed()) for host in (A, B)}
    ledger = Ledger().adopt(attachments, hosts, 1)
    assert _credentials(attachments, ledger) == {A: OLD, B: OLD}


def test_pair_that_nobody_knows_keeps_its_session_until_it_ends():
    """A backup's, of a volume that is taken over."""
    hosts = {A: _host_state(credentials=_sealed())}
    ledger = Ledger().adopt([], hosts, 1)
    (given,) = grants([], ledger)
    assert (given.initiator, given.credentials.known) == (A, False)
    assert given.credentials == _sealed()
    assert grants([], ledger.expire([], [A], 1000, 60, 300)) == {given}
    assert grants([], ledger.expire([], [], 1000, 60, 300)) == frozenset()


def test_host_whose_pair_nobody_knows_is_told_a_new_one():
    ledger = Ledger().adopt([], {A: _host_state(credentials=_sealed())}, 1)
    ledger = ledger.attach([], A, "mark", Mode.RW, 2)
    (given,) = grants([], ledger)
    assert given.credentials.known
    # And it goes on to have it when its row shows it, and the old session has ended.
    attachments = [_attachment("mark", A, given.credentials)]
    ledger = ledger.prune(attachments).expire(attachments, [], 1000, 60, 300)
    assert grants(attachments, ledger) == {given}


def test_host_has_lost_its_session_when_it_is_away_for_long():
    ledger = Ledger().look([A, B], {B}, 10)
    assert ledger.lost(39) == set()
    assert ledger.look([A, B], set(), 20).lost(40) == {A}
    assert ledger.look([A, B], {A, B}, 20).lost(60) == set()
    assert ledger.look([B], {B}, 20).lost(60) == set()


def test_host_that_was_cut_off_gets_its_pair_again_and_its_clone_does_not():
    pair, machine = new_credentials(), Machine("compute1", "192.0.2.1")
    ledger = Ledger().keep({A: pair, B: OLD}, {A: machine, B: machine})
    again = ledger.attach([], A, "mark 1", Mode.RW, 1, machine=machine)
    assert _credentials([], again)[A] == pair
    assert A not in again.kept
    clone = Machine("compute2", "192.0.2.2")
    other = ledger.attach([], A, "mark 1", Mode.RW, 1, machine=clone)
    assert _credentials([], other)[A] != pair
    # The in-tree driver's pair was many hosts'.
    assert B not in ledger.kept


def test_attach_says_of_its_host_what_is_known_and_that_it_is_not_away():
    here = Machine("compute1", "192.0.2.1")
    ledger = (
        Ledger().attach([], A, "mark 1", Mode.RW, 1, machine=here).look([A, B], (), 1)
    )
    ledger = ledger.attach([], A, "mark 2", Mode.RW, 2, machine=Machine("nova1"))
    assert ledger.machines == {A: here}
    assert ledger.absent == {B: 1}


def test_attach_for_the_readers_disk_shows_no_other():
    ledger = Ledger().attach([], A, "mark 1", Mode.RO, 1, readers_disk=True, reads=True)
    (made,) = ledger.connections
    assert (made.grant.mode, made.grant.readers_disk, made.reads) == (None, True, True)
    (made,) = Ledger().attach([], A, "mark 1", Mode.RW, 1).connections
    assert (made.grant.mode, made.grant.readers_disk, made.reads) == (
        Mode.RW,
        False,
        False,
    )


def test_attachments_that_hosts_had_are_forgotten_for_some_or_when_they_are_over():
    ledger = Ledger(attachments={A: frozenset({"old"}), B: frozenset({"b"})})
    now = [_attachment("mark 1"), _attachment("mark 2", B)]
    assert ledger.with_attachments_of({A}, now).attachments == {
        A: {"id of mark 1"},
        B: {"b"},
    }
    over = ledger.without_attachments({"old"}).attachments
    assert over == {A: frozenset(), B: {"b"}}


def test_of_several_pairs_that_rows_show_the_targets_is_the_hosts():
    rows = [_attachment("mark 1"), _attachment("mark 2", credentials=new_credentials())]
    assert _credentials(rows, Ledger())[A] != OLD
    ledger = Ledger().adopt(rows, {A: _host_state(credentials=_sealed())}, 1)
    assert _credentials(rows, ledger)[A] == OLD


def test_row_without_a_host_gives_no_access_and_holds_to_reading():
    nameless = _attachment("mark 9", initiator=None, mode=Mode.RO)
    assert _initiators([nameless, _attachment("mark 1")], Ledger()) == {A}
    ledger = Ledger().attach([nameless], A, "mark 1", Mode.RW, 1)
    assert {grant.mode for grant in grants([nameless], ledger)} == {Mode.RO}
    assert {grant.mode for grant in grants([], ledger)} == {Mode.RW}


def test_row_for_the_readers_disk_gives_that_alone():
    row = dataclasses.replace(_attachment("mark 1"), readers_disk=True)
    assert grants([row], Ledger()) == {Grant(A, OLD, None, readers_disk=True)}


def test_pair_and_machine_that_a_host_has_are_remembered():
    ledger = Ledger().attach([], A, "mark 1", Mode.RW, 1)
    assert ledger.current == _credentials([], ledger)
    here = Machine("compute1", "192.0.2.1")
    row = dataclasses.replace(_attachment("mark 1"), machine=Machine("nova1"))
    assert Ledger(machines={A: here}).prune([row]).machines == {A: here}


def test_all_attachments_that_a_host_had_are_remembered():
    rows = [_attachment("mark 1"), _attachment("mark 2"), _attachment("mark 3", None)]
    ledger = Ledger(attachments={A: frozenset({"old"})}).prune(rows)
    assert ledger.attachments == {A: {"old", "id of mark 1", "id of mark 2"}}


def test_pair_that_nobody_knows_lasts_until_its_row_shows_one():
    row = _attachment("mark 1", credentials=None)
    shown = {A: _host_state(credentials=_sealed())}
    ledger = Ledger().adopt([row], shown, 1).prune([row])
    assert [one.shown for one in ledger.connections] == [True]
    assert ledger.prune([_attachment("mark 1")]).connections == ()


def test_row_that_gets_its_pair_later_is_believed_then():
    hosts = {A: _host_state(credentials=_sealed())}
    ledger = Ledger().adopt([_attachment("1", A, None)], hosts, 1)
    attachments = [_attachment("1", A, OLD)]
    ledger = ledger.prune(attachments)
    assert ledger.connections == ()
    assert _credentials(attachments, ledger) == {A: OLD}


def test_host_that_has_the_readers_disk_alone_gets_no_other_after_a_restart():
    row = dataclasses.replace(
        _attachment("mark 1", credentials=None), readers_disk=True
    )
    shown = {A: HostState(None, OLD, connected=True, readers_disk=True)}
    ledger = Ledger().adopt([row], shown, 1)
    assert grants([row], ledger) == {Grant(A, OLD, None, readers_disk=True)}
