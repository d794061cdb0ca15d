# SPDX-License-Identifier: Apache-2.0
"""The requests of Cinder's older API beside attachments: reserve, detach, by force."""

import uuid

import pytest

from tests.attachments.api import Api, Row, refused
from tests.attachments.hosts import host


def test_a_volume_that_is_reserved_the_old_way_takes_no_attachment(
    member: Api, either: str
) -> None:
    member.act(either, "os-reserve")
    assert member.statuses(either) == ("attaching", [])
    with refused(400):
        member.create(either, server=str(uuid.uuid4()))
    member.act(either, "os-unreserve")
    assert member.statuses(either) == ("available", [])


def test_a_volume_in_use_is_reserved_the_old_way_if_it_is_multiattach(
    member: Api, shared: str, plain: str
) -> None:
    rows = {volume: member.attach(volume, host("a")) for volume in (shared, plain)}
    with refused(400):
        member.act(plain, "os-reserve")
    member.act(shared, "os-reserve")
    assert member.statuses(shared) == ("attaching", ["attached"])
    member.act(shared, "os-unreserve")
    for volume, row in rows.items():
        assert member.statuses(volume) == ("in-use", ["attached"])
        assert member.show(row["id"]) == row


@pytest.mark.parametrize("action", ["os-unreserve", "os-roll_detaching"])
@pytest.mark.parametrize("state", ["available", "reserved", "in-use"])
def test_what_was_not_begun_is_rolled_back_without_an_error(
    member: Api, either: str, action: str, state: str
) -> None:
    if state == "reserved":
        member.create(either, server=str(uuid.uuid4()))
    elif state == "in-use":
        member.attach(either, host("a"))
    before = member.statuses(either)
    member.act(either, action)
    assert member.statuses(either) == before


def test_a_volume_that_is_being_detached_takes_no_attachment(
    member: Api, service: Api, either: str
) -> None:
    row = member.attach(either, host("a"))
    member.act(either, "os-begin_detaching")
    assert member.statuses(either) == ("detaching", ["attached"])
    with refused(400):
        member.create(either, server=str(uuid.uuid4()))
    with refused(400):
        member.act(either, "os-begin_detaching")
    member.act(either, "os-roll_detaching")
    assert member.statuses(either) == ("in-use", ["attached"])
    member.act(either, "os-begin_detaching")
    service.delete(row["id"])
    assert member.statuses(either) == ("available", [])


def test_one_of_two_is_detached_while_the_volume_is_detaching(
    member: Api, service: Api, shared: str
) -> None:
    first, second = (member.attach(shared, host(name)) for name in "ab")
    member.act(shared, "os-begin_detaching")
    service.delete(first["id"])
    assert member.statuses(shared) == ("in-use", ["attached"])
    assert member.show(second["id"]) == second


@pytest.mark.parametrize("state", ["available", "reserved", "attaching"])
def test_only_a_volume_in_use_begins_to_detach(
    member: Api, either: str, state: str
) -> None:
    if state != "available":
        connector = host("a") if state == "attaching" else None
        member.create(either, connector, str(uuid.uuid4()))
    before = member.statuses(either)
    with refused(400):
        member.act(either, "os-begin_detaching")
    assert member.statuses(either) == before


def _stays_attached(member: Api, service: Api, volume: str, row: Row) -> None:
    """See that an attachment is as it was, and that it can be ended as any other."""
    assert member.statuses(volume) == ("in-use", ["attached"])
    assert member.show(row["id"]) == row
    # Not updated before: that would export anew what a back end took away.
    service.delete(row["id"])
    assert member.statuses(volume) == ("available", [])


def test_os_detach_of_one_of_two_leaves_the_other(
    member: Api, service: Api, shared: str
) -> None:
    first, second = (member.attach(shared, host(name)) for name in "ab")
    service.act(shared, "os-detach", {"attachment_id": first["id"]})
    _stays_attached(member, service, shared, second)


def test_os_detach_of_several_must_say_which(
    member: Api, service: Api, shared: str
) -> None:
    rows = [member.attach(shared, host(name)) for name in "ab"]
    with refused(400):
        service.act(shared, "os-detach", {})
    assert member.statuses(shared) == ("in-use", ["attached", "attached"])
    assert [member.show(row["id"]) for row in rows] == rows


def test_a_detach_by_force_of_one_of_two_leaves_the_other(
    member: Api, service: Api, fencer: Api, shared: str
) -> None:
    first, second = (member.attach(shared, host(name)) for name in "ab")
    said = {"attachment_id": first["id"], "connector": host("a")}
    fencer.act(shared, "os-force_detach", said)
    with refused(404):
        member.show(first["id"])
    _stays_attached(member, service, shared, second)


def test_a_detach_by_force_needs_no_connector(
    member: Api, fencer: Api, either: str
) -> None:
    row = member.attach(either, host("a"))
    fencer.act(either, "os-force_detach", {"attachment_id": row["id"]})
    assert member.statuses(either) == ("available", [])


def test_only_an_administrator_detaches_by_force(
    member: Api, service: Api, either: str
) -> None:
    row = member.attach(either, host("a"))
    said = {"attachment_id": row["id"], "connector": host("a")}
    with refused(403):
        service.act(either, "os-force_detach", said)
    assert member.show(row["id"]) == row
