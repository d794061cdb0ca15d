# SPDX-License-Identifier: Apache-2.0
"""PUT /attachments/ID: a host says who it is, once more, or says it wrongly."""

import uuid
from typing import Any

import pytest

from tests.attachments.api import Api, refused
from tests.attachments.hosts import host


def _reserved(member: Api, volume: str) -> str:
    return str(member.create(volume, server=str(uuid.uuid4()))["id"])


def test_a_connector_is_answered_with_how_to_connect(member: Api, either: str) -> None:
    attachment = _reserved(member, either)
    answer = member.update(attachment, host("a"))
    assert answer["id"] == attachment
    assert answer["connection_info"]["driver_volume_type"]
    assert answer["connection_info"]["attachment_id"] == attachment
    assert member.statuses(either) == ("attaching", ["attaching"])
    shown = member.show(attachment)
    assert shown["status"] == "attaching"
    assert shown["attached_at"]
    assert shown["connection_info"] == answer["connection_info"]


def test_the_same_connector_again_is_the_same_answer(member: Api, either: str) -> None:
    attachment = _reserved(member, either)
    first = member.update(attachment, host("a"))["connection_info"]
    again = member.update(attachment, host("a"))["connection_info"]
    assert again == first
    assert member.statuses(either) == ("attaching", ["attaching"])


def test_another_host_may_take_an_attachment_over(
    member: Api, service: Api, either: str
) -> None:
    attachment = _reserved(member, either)
    member.update(attachment, host("a"))
    answer = member.update(attachment, host("b"))
    assert member.show(attachment)["connection_info"] == answer["connection_info"]
    member.complete(attachment)
    service.delete(attachment)
    assert member.statuses(either) == ("available", [])


def test_an_attached_one_is_on_its_way_again(member: Api, either: str) -> None:
    row = member.attach(either, host("a"))
    again = member.update(row["id"], host("a"))["connection_info"]
    assert again == row["connection_info"]
    assert member.statuses(either) == ("attaching", ["attaching"])
    member.complete(row["id"])
    assert member.statuses(either) == ("in-use", ["attached"])


def test_an_update_beside_others_leaves_them_as_they_are(
    member: Api, shared: str
) -> None:
    first = member.attach(shared, host("a"))
    second = _reserved(member, shared)
    member.update(second, host("b"))
    assert member.statuses(shared) == ("attaching", ["attached", "attaching"])
    assert member.show(first["id"]) == first


def test_a_plain_volume_goes_to_a_second_host_of_its_server_in_one_request_only(
    member: Api, service: Api, plain: str
) -> None:
    server = str(uuid.uuid4())
    row = member.attach(plain, host("a"), server)
    moved = member.create(plain, server=server)["id"]
    before = member.statuses(plain)
    with refused(409) as seen:
        member.update(moved, host("b"))
    assert "duplicate connectors" in seen.words
    assert member.statuses(plain) == before
    assert member.show(row["id"]) == row
    service.delete(moved)
    member.complete(member.create(plain, host("b"), server)["id"])
    assert member.statuses(plain) == ("in-use", ["attached", "attached"])


def test_what_is_gone_is_not_updated(member: Api, service: Api, either: str) -> None:
    attachment = _reserved(member, either)
    service.delete(attachment)
    with refused(404):
        member.update(attachment, host("a"))
    assert member.statuses(either) == ("available", [])


#: Connectors that name no host that a target could let in.
_USELESS: dict[str, dict[str, Any]] = {
    "no initiator": {"initiator": None, "wwpns": None, "wwnns": None, "nqn": None},
    "no name": {"initiator": "iqn.2026-11.example", "wwpns": [], "nqn": "nqn."},
    "no text": {"initiator": 7, "wwpns": 7, "nqn": 7},
}


@pytest.mark.parametrize("fault", _USELESS)
def test_a_connector_that_names_no_host_is_refused_and_changes_nothing(
    member: Api, service: Api, shared: str, fault: str
) -> None:
    attached = member.attach(shared, host("a"))
    attachment = _reserved(member, shared)
    before = member.show(attachment), member.statuses(shared)
    with refused(400, 500):
        member.update(attachment, host("b", **_USELESS[fault]))
    assert (member.show(attachment), member.statuses(shared)) == before
    assert member.show(attached["id"]) == attached

    # It can still be used, and so can the one that was there.
    member.update(attachment, host("b"))
    member.complete(attachment)
    again = member.update(attached["id"], host("a"))["connection_info"]
    assert again == attached["connection_info"]
    member.complete(attached["id"])
    service.delete(attached["id"])
    service.delete(attachment)
    assert member.statuses(shared) == ("available", [])


@pytest.mark.parametrize("fault", _USELESS)
def test_a_host_stays_detachable_after_another_ones_refusal(
    member: Api, service: Api, shared: str, fault: str
) -> None:
    attached = member.attach(shared, host("a"))
    with refused(400, 500):
        member.create(shared, host("b", **_USELESS[fault]), str(uuid.uuid4()))
    assert member.show(attached["id"]) == attached
    service.delete(attached["id"])
    assert attached["id"] not in {row["id"] for row in member.find(volume_id=shared)}
