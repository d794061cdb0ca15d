# SPDX-License-Identifier: Apache-2.0
"""Bodies that are wrong: refused with status 400 or 404, and nothing is changed."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from tests.attachments.api import Api, refused
from tests.attachments.hosts import host

_LONG = "x" * 300

#: Wrong bodies of a POST, made of the volume's id.
_CREATE: dict[str, Callable[[str], Any]] = {
    "nothing": lambda _: {},
    "null": lambda _: {"attachment": None},
    "a list": lambda _: {"attachment": []},
    "a list around it": lambda volume: [{"attachment": {"volume_uuid": volume}}],
    "no volume": lambda _: {"attachment": {"instance_uuid": str(uuid.uuid4())}},
    "a volume of no uuid": lambda _: {"attachment": {"volume_uuid": "mine"}},
    "a volume of a number": lambda _: {"attachment": {"volume_uuid": 7}},
    "a volume of null": lambda _: {"attachment": {"volume_uuid": None}},
    "a long volume": lambda _: {"attachment": {"volume_uuid": _LONG}},
    "a second thing": lambda volume: {
        "attachment": {"volume_uuid": volume},
        "volume": {},
    },
}

#: What the fields of a POST may not have in them.
_FIELDS: dict[str, list[Any]] = {
    "instance_uuid": [None, "", "mine", 7, [], _LONG, "é" * 36],
    "connector": ["host", 7, True, [host("a")]],
    "mode": [None, "", "wo", "RW", 7, ["ro"], _LONG],
    "colour": ["red"],
}

#: Wrong bodies of a PUT.
_UPDATE: dict[str, Any] = {
    "nothing": {},
    "null": {"attachment": None},
    "no connector": {"attachment": {}},
    "a connector of null": {"attachment": {"connector": None}},
    "an empty connector": {"attachment": {"connector": {}}},
    "a connector of a text": {"attachment": {"connector": "host"}},
    "a connector of a list": {"attachment": {"connector": [host("a")]}},
    "an unknown field": {"attachment": {"connector": host("a"), "colour": "red"}},
    "a mode beside it": {"attachment": {"connector": host("a"), "mode": "ro"}},
    "a connector without a host": {"attachment": {"connector": host("a", host=None)}},
}

#: Connectors with what no host is called, or no row can keep.
_CONNECTORS: dict[str, dict[str, Any]] = {
    "a long host": {"host": _LONG},
    "a long mountpoint": {"mountpoint": _LONG},
    "a long mode": {"mode": _LONG},
    "an unknown mode": {"mode": "wo"},
    "a mode of a number": {"mode": 7},
    "a long initiator": {"initiator": f"iqn.2026-11.example:{_LONG}", "nqn": _LONG},
}


@pytest.mark.parametrize("fault", _CREATE)
def test_a_wrong_creation_is_refused(member: Api, shared: str, fault: str) -> None:
    with refused(400):
        member.call("POST", "/attachments", _CREATE[fault](shared))
    assert member.statuses(shared) == ("available", [])


@pytest.mark.parametrize(
    ("field", "said"),
    [
        pytest.param(field, one, id=f"{field} {one!r:.12}")
        for field, wrong in _FIELDS.items()
        for one in wrong
    ],
)
def test_a_creation_with_a_wrong_field_is_refused(
    member: Api, shared: str, field: str, said: Any
) -> None:
    body = {"attachment": {"volume_uuid": shared, field: said}}
    with refused(400):
        member.call("POST", "/attachments", body)
    assert member.statuses(shared) == ("available", [])


def test_a_volume_that_is_not_there_is_not_found(member: Api) -> None:
    for connector in (None, host("a")):
        with refused(404):
            member.create(str(uuid.uuid4()), connector)


@pytest.mark.parametrize("fault", _UPDATE)
def test_a_wrong_update_is_refused(member: Api, shared: str, fault: str) -> None:
    made = member.create(shared, server=str(uuid.uuid4()))["id"]
    before = member.show(made), member.statuses(shared)
    with refused(400):
        member.call("PUT", f"/attachments/{made}", _UPDATE[fault])
    assert (member.show(made), member.statuses(shared)) == before


@pytest.mark.parametrize("fault", _UPDATE)
def test_a_wrong_update_leaves_an_attached_host_as_it_is(
    member: Api, shared: str, fault: str
) -> None:
    row = member.attach(shared, host("a"))
    with refused(400, 500):
        member.call("PUT", f"/attachments/{row['id']}", _UPDATE[fault])
    assert member.show(row["id"]) == row
    assert member.statuses(shared) == ("in-use", ["attached"])


@pytest.mark.parametrize("fault", _CONNECTORS)
def test_a_connector_that_no_row_can_keep_is_refused(
    member: Api, shared: str, fault: str
) -> None:
    made = member.create(shared, server=str(uuid.uuid4()))["id"]
    before = member.show(made), member.statuses(shared)
    with refused(400):
        member.update(made, host("a", **_CONNECTORS[fault]))
    assert (member.show(made), member.statuses(shared)) == before


@pytest.mark.parametrize("fault", _CONNECTORS)
def test_a_wrong_connector_leaves_the_other_hosts_as_they_are(
    member: Api, service: Api, shared: str, fault: str
) -> None:
    row = member.attach(shared, host("a"))
    made = member.create(shared, server=str(uuid.uuid4()))["id"]
    with refused(400, 500):
        member.update(made, host("b", **_CONNECTORS[fault]))
    assert member.show(row["id"]) == row
    service.delete(made)
    assert member.statuses(shared) == ("in-use", ["attached"])
    assert member.show(row["id"]) == row
    service.delete(row["id"])
    assert member.statuses(shared) == ("available", [])


@pytest.mark.parametrize("name", ["os-complete", "os-colour"])
def test_a_wrong_action_is_refused(member: Api, shared: str, name: str) -> None:
    made = member.create(shared, server=str(uuid.uuid4()))["id"]
    path = f"/attachments/{made}/action"
    wrong: list[Any] = [{}, {name: None, "more": 1}] if name == "os-complete" else []
    for body in (*wrong, {"os-colour": None}):
        with refused(400):
            member.call("POST", path, body)
    assert member.statuses(shared) == ("reserved", ["reserved"])
