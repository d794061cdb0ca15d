# SPDX-License-Identifier: Apache-2.0
"""DELETE /attachments/ID: in any state and order, the others stay as they are."""

import itertools
import uuid

import pytest

from tests.attachments.api import Api, refused
from tests.attachments.hosts import host

STATES = ("reserved", "attaching", "attached", "attached without a host")


def _make(member: Api, volume: str, state: str, name: str) -> str:
    attachment = str(member.create(volume, server=str(uuid.uuid4()))["id"])
    if state in ("attaching", "attached"):
        member.update(attachment, host(name))
    if state.startswith("attached"):
        member.complete(attachment)
    return attachment


@pytest.mark.parametrize("state", STATES)
def test_the_last_one_leaves_the_volume_available(
    member: Api, service: Api, either: str, state: str
) -> None:
    attachment = _make(member, either, state, "a")
    assert service.delete(attachment) == []
    assert member.statuses(either) == ("available", [])
    with refused(404):
        member.show(attachment)


@pytest.mark.parametrize("state", STATES)
def test_what_is_gone_is_not_deleted_again(
    member: Api, service: Api, either: str, state: str
) -> None:
    attachment = _make(member, either, state, "a")
    service.delete(attachment)
    with refused(404):
        service.delete(attachment)
    assert member.statuses(either) == ("available", [])


@pytest.mark.parametrize("order", itertools.permutations(range(3)))
def test_attached_ones_end_in_any_order(
    member: Api, service: Api, shared: str, order: tuple[int, ...]
) -> None:
    rows = [member.attach(shared, host(name)) for name in "abc"]
    for number, place in enumerate(order):
        left = [rows[other]["id"] for other in order[number + 1 :]]
        answer = service.delete(rows[place]["id"])
        assert sorted(row["id"] for row in answer) == sorted(left)
        expected = "in-use" if left else "available"
        assert member.statuses(shared) == (expected, ["attached"] * len(left))
        for row in rows:
            if row["id"] in left:
                assert member.show(row["id"]) == row


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("first", ["attached", "other"])
def test_one_of_two_ends_and_the_other_says_what_the_volume_is(
    member: Api, service: Api, shared: str, state: str, first: str
) -> None:
    attached = _make(member, shared, "attached", "a")
    other = _make(member, shared, state, "b")
    status = state.partition(" ")[0]
    if first == "attached":
        service.delete(attached)
        volume = "in-use" if status == "attached" else status
        assert member.statuses(shared) == (volume, [status])
        service.delete(other)
    else:
        service.delete(other)
        assert member.statuses(shared) == ("in-use", ["attached"])
        service.delete(attached)
    assert member.statuses(shared) == ("available", [])


def test_a_volume_is_attached_anew_after_its_last_detach(
    member: Api, service: Api, either: str
) -> None:
    for name in ("a", "a", "b"):
        row = member.attach(either, host(name))
        assert member.statuses(either) == ("in-use", ["attached"])
        service.delete(row["id"])
        assert member.statuses(either) == ("available", [])


def test_microversion_3_27_reserves_updates_and_deletes(
    member: Api, service: Api, either: str
) -> None:
    made = member.create(either, server=str(uuid.uuid4()), version="3.27")["id"]
    answer = member.update(made, host("a"), version="3.27")
    assert answer["connection_info"]
    assert service.delete(made, version="3.27") == []
    assert member.statuses(either) == ("available", [])
