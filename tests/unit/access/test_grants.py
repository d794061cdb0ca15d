# SPDX-License-Identifier: Apache-2.0
"""Who may reach a volume, told as stories. The letters are of cinder-facts.md."""

from taikun_cinder.access.grants import Memory, Row, grants, new_credentials
from taikun_cinder.access.model import Credentials, Initiator, Mode
from taikun_cinder.access.observed import ObservedAcl, ObservedMapping

A, B = (Initiator(f"iqn.2026-11.com.example:{name}") for name in "ab")
OLD = Credentials("in-tree", "shared-by-all")


def _row(identity, host=A, credentials=OLD, mode=Mode.RW):
    return Row(f"id of {identity}", "host", host, True, identity, mode, credentials)


def _who(rows, memory):
    return {grant.initiator for grant in grants(rows, memory)}


def _credentials(rows, memory):
    return {one.initiator: one.credentials for one in grants(rows, memory)}


def _acl(*, session=True, credentials=OLD, protected=False):
    return ObservedAcl(credentials, {0: ObservedMapping(0, protected)}, session)


def test_two_detaches_at_once_on_one_host_leave_nothing():
    # c: both are ended before the API deletes either row.
    rows = [_row("mark 1"), _row("mark 2")]
    memory = Memory().detach(rows, A, "mark 1", 1)
    assert _who(rows, memory) == {A}
    assert _who(rows, memory.detach(rows, A, "mark 2", 2)) == set()


def test_detach_that_cinder_repeats_ends_no_other():
    rows = [_row("mark 1"), _row("mark 2")]
    memory = Memory()
    for now in range(3):
        memory = memory.detach(rows, A, "mark 1", now)
    assert _who(rows, memory) == {A}


def test_detach_overtaken_by_another_attach_does_not_concern_it():
    # d
    rows = [_row("mark 1")]
    memory = Memory().detach(rows, A, "mark 1", 1)
    memory = memory.attach(rows, B, "mark 2", Mode.RW, 2)
    assert _who(rows, memory) == {B}


def test_reserved_attachment_gives_and_keeps_nothing():
    # e
    rows = [_row("mark 1"), Row("2", "host", None, connected=False)]
    assert _who(rows, Memory().detach(rows, A, "mark 1", 1)) == set()


def test_first_attaches_at_once_get_one_pair_on_one_host_and_two_on_two():
    # i and m: neither row is written yet.
    memory = Memory().attach([], A, "mark 1", Mode.RW, 1)
    first = _credentials([], memory)[A]
    memory = memory.attach([], A, "mark 2", Mode.RW, 2)
    memory = memory.attach([], B, "mark 3", Mode.RW, 3)
    assert _credentials([], memory)[A] == first
    assert _credentials([], memory)[B] != first


def test_host_that_comes_back_gets_new_credentials_even_before_its_row_is_gone():
    rows = [_row("mark 1")]
    memory = Memory().detach(rows, A, "mark 1", 1)
    memory = memory.attach(rows, A, "mark 2", Mode.RW, 2)
    assert _credentials(rows, memory)[A] != OLD


def test_further_server_on_a_taken_over_host_shares_what_the_host_has():
    # g
    rows = [_row("connector 1")]
    memory = Memory().attach(rows, A, "mark 2", Mode.RW, 1)
    assert _credentials(rows, memory)[A] == OLD
    rows = [*rows, _row("mark 2")]
    memory = memory.follow(rows).detach(rows, A, "connector 1", 2)
    assert _who(rows, memory) == {A}
    assert _who(rows, memory.detach(rows, A, "mark 2", 3)) == set()


def test_twins_taken_over_are_told_apart_by_their_rows_going():
    rows = [_row("connector 1"), Row("2", "host", A, True, "connector 1")]
    memory = Memory().detach(rows, A, "connector 1", 1)
    assert _who(rows, memory) == {A}
    memory = memory.follow(rows[:1]).detach(rows[:1], A, "connector 1", 2)
    assert _who(rows[:1], memory) == set()


def test_twins_detached_at_once_are_out_when_their_rows_are():
    rows = [_row("connector 1"), Row("2", "host", A, True, "connector 1")]
    memory = Memory().detach(rows, A, "connector 1", 1)
    memory = memory.detach(rows, A, "connector 1", 2)
    assert _who(rows, memory) == {A}
    assert _who([], memory.follow([])) == set()


def test_detach_with_a_foreign_connector_ends_an_only_attachment():
    only, two = [_row("mark 1")], [_row("mark 1"), _row("mark 2")]
    assert _who(only, Memory().detach(only, A, "x", 1, marked=False)) == set()
    assert _who(only, Memory().detach(only, A, "x", 1)) == {A}
    assert _who(two, Memory().detach(two, A, "x", 1, marked=False)) == {A}


def test_detach_of_all_leaves_nobody_and_the_next_attach_is_new():
    rows = [_row("mark 1"), _row("mark 2", B)]
    memory = Memory().attach(rows, B, "mark 3", Mode.RW, 1).detach_all(rows, 2)
    assert _who(rows, memory) == set()
    memory = memory.attach(rows, A, "mark 4", Mode.RW, 3)
    assert _credentials(rows, memory)[A] != OLD


def test_writing_ends_with_the_attachment_that_allowed_it():
    # u
    rows = [_row("mark 1"), _row("mark 2", mode=Mode.RO)]
    assert {one.mode for one in grants(rows, Memory())} == {Mode.RW}
    memory = Memory().detach(rows, A, "mark 1", 1)
    assert {one.mode for one in grants(rows, memory)} == {Mode.RO}


def test_live_connection_without_a_row_is_adopted_after_a_restart_only():
    acls = {A: _acl(session=True), B: _acl(session=False)}
    assert _who([], Memory().adopt([], acls, 1)) == {A}
    assert _who([], Memory()) == set()


def test_adopted_connection_ends_with_its_detach_or_its_session():
    memory = Memory().adopt([], {A: _acl(protected=True)}, 1)
    assert {one.mode for one in grants([], memory)} == {Mode.RO}
    assert _who([], memory.expire([], {A}, 9, 0, 0)) == {A}
    assert _who([], memory.expire([], {}, 9, 0, 0)) == set()
    assert _who([], memory.detach([], A, "x", 2)) == set()


def test_connection_without_a_row_outlives_a_short_loss_of_its_session():
    memory = Memory().adopt([], {A: _acl()}, 1)
    memory = memory.expire([], {A}, 1000, 60, 60)
    assert _who([], memory.expire([], {}, 1060, 60, 60)) == {A}
    assert _who([], memory.expire([], {}, 1061, 60, 60)) == set()


def test_connection_ends_with_its_attachment_though_its_answer_was_lost():
    waiting = [Row("1", "host", None, connected=False, server="one")]
    memory = Memory().attach(waiting, A, "mark 1", Mode.RW, 1, "one")
    assert _who(waiting, memory.expire(waiting, {}, 1, 60, 300)) == {A}
    assert _who([], memory.expire([], {A}, 1, 60, 300)) == set()


def test_hosts_without_an_attachment_have_time_to_log_in():
    memory = Memory().attach([], A, "mark 1", Mode.RW, 0, None)
    assert _who([], memory.expire([], {}, 300, 60, 300)) == {A}
    assert _who([], memory.expire([], {}, 301, 60, 300)) == set()


def test_attachments_that_name_nobody_keep_all_who_were_there():
    rows = [Row("1", "metal1", None, connected=True)]
    memory = Memory().adopt(rows, {A: _acl(session=False), B: _acl()}, 1)
    assert _who(rows, memory.expire(rows, {}, 9, 0, 0)) == {A, B}
    assert _who(rows, memory.detach(rows, A, "x", 2)) == {B}


def test_credentials_that_no_row_shows_yet_are_taken_from_the_kernel():
    rows = [_row("mark 1", credentials=None, mode=Mode.RO)]
    memory = Memory().adopt(rows, {A: _acl(session=False)}, 1)
    (grant,) = grants(rows, memory)
    assert (grant.credentials, grant.mode) == (OLD, Mode.RO)
    assert memory.follow([_row("mark 1")]).flights == ()
    assert grants(rows, Memory()) == frozenset()


def test_ended_row_that_stays_is_an_attachment_again_after_a_while():
    rows = [_row("mark 1")]
    memory = Memory().detach(rows, A, "mark 1", 5)
    assert _who(rows, memory.expire(rows, {}, 5, 0, 0)) == set()
    assert _who(rows, memory.expire(rows, {}, 6, 0, 0)) == {A}


def test_ended_row_that_is_attached_again_counts():
    rows = [_row("mark 1")]
    memory = Memory().detach(rows, A, "mark 1", 1)
    again = [Row(rows[0].id, "host", A, True, "mark 2", Mode.RW, OLD)]
    assert _who(again, memory.follow(again)) == {A}


def test_credentials_are_random_and_not_shown():
    one, other = new_credentials(), new_credentials()
    assert one != other
    assert one.password not in f"{one} {one!r}"
    assert len(one.password) > 32


def test_credentials_never_look_like_an_encoded_number():
    # LIO refuses a login with a name that begins with 0x or 0b: one in 256 would.
    pairs = [new_credentials() for _ in range(2000)]
    assert all(pair.username[0].isalpha() for pair in pairs)
    assert all(pair.password[0].isalpha() for pair in pairs)


def test_detach_that_names_nothing_ends_one_flight_of_several():
    memory = Memory().attach([], A, "mark 1", Mode.RW, 1)
    memory = memory.attach([], A, "mark 2", Mode.RW, 2)
    memory = memory.detach([], A, "x", 3)
    assert _who([], memory) == {A}
    assert _who([], memory.detach([], A, "x", 4)) == set()


def test_answer_counts_more_than_a_row_with_the_credentials_of_before():
    memory = Memory().attach([], A, "mark 1", Mode.RW, 1)
    told = _credentials([], memory)[A]
    rows = [_row("mark 1")]
    memory = memory.follow(rows)
    assert _credentials(rows, memory)[A] == told != OLD
