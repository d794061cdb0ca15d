# SPDX-License-Identifier: Apache-2.0
"""POST /attachments: what is reserved, what is on its way, and what is refused."""

import uuid

import pytest

from tests.attachments.api import Api, refused
from tests.attachments.hosts import host


def _server() -> str:
    return str(uuid.uuid4())


def test_an_attachment_without_a_connector_reserves_the_volume(
    member: Api, either: str
) -> None:
    server = _server()
    made = member.create(either, server=server)
    assert made["status"] == "reserved"
    assert (made["instance"], made["volume_id"]) == (server, either)
    assert not made["connection_info"]
    assert member.statuses(either) == ("reserved", ["reserved"])


def test_an_attachment_with_a_connector_is_on_its_way(member: Api, either: str) -> None:
    made = member.create(either, host("a"), _server())
    assert made["connection_info"]["driver_volume_type"]
    assert made["connection_info"]["attachment_id"] == made["id"]
    assert member.statuses(either) == ("attaching", ["attaching"])


def test_an_attachment_needs_no_server(member: Api, either: str) -> None:
    made = member.create(either)
    assert made["instance"] is None
    member.update(made["id"], host("a"))
    member.complete(made["id"])
    assert member.statuses(either) == ("in-use", ["attached"])
    # Nobody but its owner knows whether it is used, so he may end it.
    assert member.delete(made["id"]) == []
    assert member.status(either) == "available"


def test_an_empty_connector_is_none(member: Api, shared: str) -> None:
    member.create(shared, {}, _server())
    assert member.statuses(shared) == ("reserved", ["reserved"])


@pytest.mark.parametrize("mode", ["rw", "ro"])
def test_the_mode_that_is_asked_for_is_kept(
    member: Api, shared: str, mode: str
) -> None:
    made = member.create(shared, server=_server(), mode=mode)
    assert made["attach_mode"] == mode
    member.update(made["id"], host("a"))
    member.complete(made["id"])
    shown = member.show(made["id"])
    assert shown["attach_mode"] == mode


@pytest.mark.parametrize("mode", ["rw", "ro"])
def test_the_answer_says_what_the_host_may_do(
    member: Api, shared: str, mode: str
) -> None:
    row = member.attach(shared, host("a"), mode=mode)
    assert row["connection_info"]["access_mode"] == mode


def test_a_mode_in_the_connector_counts_if_no_other_was_given(
    member: Api, shared: str
) -> None:
    made = member.create(shared, server=_server())
    assert made["attach_mode"] == "null"
    member.update(made["id"], host("a", mode="ro"))
    shown = member.show(made["id"])
    assert shown["attach_mode"] == "ro"
    assert shown["connection_info"]["access_mode"] == "ro"


def test_the_mode_of_the_attachment_goes_before_that_of_the_connector(
    member: Api, shared: str
) -> None:
    made = member.create(shared, server=_server(), mode="ro")
    member.update(made["id"], host("a", mode="rw"))
    shown = member.show(made["id"])
    assert shown["attach_mode"] == "ro"
    assert shown["connection_info"]["access_mode"] == "ro"


def test_there_is_no_mode_before_microversion_3_54(member: Api, shared: str) -> None:
    with refused(400) as seen:
        member.create(shared, server=_server(), mode="ro", version="3.53")
    assert "mode" in seen.words
    assert member.statuses(shared) == ("available", [])


@pytest.mark.parametrize("state", ["reserved", "attaching", "attached"])
def test_a_plain_volume_is_for_one_server(member: Api, plain: str, state: str) -> None:
    first = member.create(plain, server=_server())["id"]
    if state != "reserved":
        member.update(first, host("a"))
    if state == "attached":
        member.complete(first)
    before = member.statuses(plain)
    for connector in (None, host("b")):
        with refused(400):
            member.create(plain, connector, _server())
        with refused(400):
            member.create(plain, connector)
    assert member.statuses(plain) == before


@pytest.mark.parametrize("connected", [False, True])
def test_a_multiattach_volume_is_for_many_servers(
    member: Api, shared: str, connected: bool
) -> None:
    for number, name in enumerate("abc"):
        if connected:
            member.complete(member.create(shared, host(name), _server())["id"])
        else:
            member.attach(shared, host(name))
        assert member.statuses(shared) == ("in-use", ["attached"] * (number + 1))


@pytest.mark.parametrize("updated", [False, True])
def test_one_server_at_a_time_is_being_attached(
    member: Api, shared: str, updated: bool
) -> None:
    member.attach(shared, host("a"))
    second = member.create(shared, server=_server())["id"]
    if updated:
        member.update(second, host("b"))
    before = member.statuses(shared)
    with refused(400):
        member.create(shared, server=_server())
    with refused(400):
        member.create(shared, host("c"), _server())
    assert member.statuses(shared) == before
    if not updated:
        member.update(second, host("b"))
    member.complete(second)
    assert member.attach(shared, host("c"))["status"] == "attached"


@pytest.mark.parametrize("state", ["reserved", "attached"])
def test_a_server_that_moves_may_have_two_attachments(
    member: Api, either: str, state: str
) -> None:
    server = _server()
    if state == "reserved":
        member.create(either, server=server)
    else:
        member.attach(either, host("a"), server)
    moved = member.create(either, host("b"), server)
    member.complete(moved["id"])
    assert member.statuses(either) == ("in-use", sorted([state, "attached"]))


def test_a_server_that_is_being_attached_gets_no_second_attachment(
    member: Api, plain: str
) -> None:
    server = _server()
    member.create(plain, host("a"), server)
    with refused(400):
        member.create(plain, host("b"), server)
    assert member.statuses(plain) == ("attaching", ["attaching"])


def test_two_servers_of_one_host_have_an_attachment_each(
    member: Api, service: Api, shared: str
) -> None:
    first = member.attach(shared, host("a"))
    second = member.attach(shared, host("a"))
    service.delete(first["id"])
    assert member.statuses(shared) == ("in-use", ["attached"])
    kept = member.show(second["id"])
    assert kept["connection_info"] == second["connection_info"]
    service.delete(second["id"])
    assert member.statuses(shared) == ("available", [])
