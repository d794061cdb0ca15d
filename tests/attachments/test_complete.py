# SPDX-License-Identifier: Apache-2.0
"""os-complete: the host has connected."""

import uuid

from tests.attachments.api import Api, refused
from tests.attachments.hosts import host


def _reserved(member: Api, volume: str) -> str:
    return str(member.create(volume, server=str(uuid.uuid4()))["id"])


def test_a_completed_attachment_is_attached(member: Api, either: str) -> None:
    attachment = _reserved(member, either)
    answer = member.update(attachment, host("a"))
    member.complete(attachment)
    assert member.statuses(either) == ("in-use", ["attached"])
    shown = member.show(attachment)
    assert shown["connection_info"] == answer["connection_info"]
    (listed,) = member.volume(either)["attachments"]
    assert listed["attachment_id"] == attachment
    assert listed["host_name"] in (host("a")["host"], None)  # only an admin sees it


def test_completed_twice_is_completed(member: Api, either: str) -> None:
    row = member.attach(either, host("a"))
    member.complete(row["id"])
    assert member.statuses(either) == ("in-use", ["attached"])
    assert member.show(row["id"]) == row


def test_one_without_a_host_is_completed_too(
    member: Api, service: Api, either: str
) -> None:
    # As Nova's for a server that is shelved: Cinder asks for no connector.
    attachment = _reserved(member, either)
    member.complete(attachment)
    assert member.statuses(either) == ("in-use", ["attached"])
    assert not member.show(attachment)["connection_info"]
    service.delete(attachment)
    assert member.statuses(either) == ("available", [])


def test_what_is_gone_is_not_completed(member: Api, service: Api, either: str) -> None:
    attachment = _reserved(member, either)
    service.delete(attachment)
    with refused(404):
        member.complete(attachment)
    assert member.statuses(either) == ("available", [])


def test_there_is_no_complete_before_microversion_3_44(
    member: Api, either: str
) -> None:
    attachment = _reserved(member, either)
    member.update(attachment, host("a"))
    with refused(400, 404):
        member.complete(attachment, version="3.43")
    assert member.statuses(either) == ("attaching", ["attaching"])


def test_a_completed_one_makes_room_for_the_next(member: Api, shared: str) -> None:
    first = _reserved(member, shared)
    member.update(first, host("a"))
    with refused(400):
        _reserved(member, shared)
    member.complete(first)
    _reserved(member, shared)
    assert member.statuses(shared) == ("reserved", ["attached", "reserved"])
