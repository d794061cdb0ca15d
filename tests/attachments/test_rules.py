# SPDX-License-Identifier: Apache-2.0
"""What Cinder does with a volume that has attachments, or is in no state for them."""

import uuid
from collections.abc import Iterator

import pytest

from tests.attachments.api import Api, Row, refused
from tests.attachments.cloud import Cloud
from tests.attachments.hosts import host

STATES = ("reserved", "attaching", "in-use")


def _bring(member: Api, volume: str, state: str) -> None:
    """Bring an available volume into a state, by one attachment."""
    made = member.create(volume, server=str(uuid.uuid4()))["id"]
    if state != "reserved":
        member.update(made, host("a"))
    if state == "in-use":
        member.complete(made)
    assert member.status(volume) == state


@pytest.fixture(name="rows")
def _rows(member: Api, shared: str) -> list[Row]:
    """The attachments of two hosts."""
    return [member.attach(shared, host(name)) for name in "ab"]


def _are_untouched(member: Api, rows: list[Row]) -> None:
    assert [member.show(row["id"]) for row in rows] == rows
    expected = ["attached"] * len(rows)
    assert member.statuses(rows[0]["volume_id"]) == ("in-use", expected)


@pytest.mark.parametrize("state", STATES)
def test_a_volume_with_an_attachment_is_not_deleted(
    member: Api, either: str, state: str
) -> None:
    _bring(member, either, state)
    before = member.statuses(either)
    for cascade in ("", "?cascade=true"):
        with refused(400):
            member.call("DELETE", f"/volumes/{either}{cascade}")
    assert member.statuses(either) == before


def test_a_volume_in_use_is_not_deleted_by_force(
    member: Api, admin: Api, either: str
) -> None:
    row = member.attach(either, host("a"))
    with refused(400):
        admin.act(either, "os-force_delete")
    assert member.statuses(either) == ("in-use", ["attached"])
    assert member.show(row["id"]) == row


@pytest.mark.parametrize("state", STATES)
def test_a_volume_with_an_attachment_is_not_given_away(
    member: Api, either: str, state: str
) -> None:
    _bring(member, either, state)
    before = member.statuses(either)
    with refused(400):
        member.call(
            "POST", "/volume-transfers", {"transfer": {"volume_id": either}}, "3.55"
        )
    assert member.statuses(either) == before


@pytest.mark.parametrize("state", STATES)
def test_no_volume_becomes_or_ceases_to_be_multiattach_with_an_attachment(
    cloud: Cloud, member: Api, shared: str, plain: str, state: str
) -> None:
    for volume, new_type in ((plain, cloud.shared_type), (shared, cloud.plain_type)):
        _bring(member, volume, state)
        before = member.volume(volume)
        said = {"new_type": new_type, "migration_policy": "never"}
        with refused(400):
            member.act(volume, "os-retype", said)
        assert member.volume(volume) == before


def test_a_volume_in_use_grows_from_microversion_3_42_on(
    member: Api, shared: str, rows: list[Row]
) -> None:
    size = member.volume(shared)["size"]
    with refused(400):
        member.act(shared, "os-extend", {"new_size": size + 1}, version="3.41")
    _are_untouched(member, rows)
    member.act(shared, "os-extend", {"new_size": size + 1}, version="3.42")
    member.wait(shared, "in-use")
    assert member.volume(shared)["size"] == size + 1
    _are_untouched(member, rows)


@pytest.mark.parametrize("state", ["reserved", "attaching"])
def test_a_volume_on_its_way_does_not_grow(
    member: Api, either: str, state: str
) -> None:
    _bring(member, either, state)
    before = member.volume(either)
    with refused(400):
        member.act(either, "os-extend", {"new_size": before["size"] + 1})
    assert member.volume(either) == before


def test_no_volume_shrinks(member: Api, shared: str, rows: list[Row]) -> None:
    size = member.volume(shared)["size"]
    for wrong in (size, 0, -1, "much"):
        with refused(400):
            member.act(shared, "os-extend", {"new_size": wrong})
    _are_untouched(member, rows)


def _snapshot(member: Api, volume: str, version: str, **more: bool) -> str:
    body = {"snapshot": {"volume_id": volume, **more}}
    made = member.call("POST", "/snapshots", body, version)
    return str(made["snapshot"]["id"])


def test_a_snapshot_of_a_volume_in_use_is_asked_for_by_force(
    member: Api, shared: str, rows: list[Row]
) -> None:
    with refused(400):
        _snapshot(member, shared, "3.54")
    snapshot = _snapshot(member, shared, "3.54", force=True)
    path = f"/snapshots/{snapshot}"
    member.wait_for(path, "available")
    _are_untouched(member, rows)
    with refused(409):
        member.act(shared, "revert", {"snapshot_id": snapshot})
    _are_untouched(member, rows)
    member.call("DELETE", path)
    member.wait_for(path, None)
    _are_untouched(member, rows)


def test_an_attached_volume_goes_to_no_host_that_cannot_take_it(
    member: Api, admin: Api, shared: str, rows: list[Row]
) -> None:
    here = admin.volume(shared)["os-vol-host-attr:host"]
    for there in (here, "nowhere@nothing#none", ""):
        with refused(400):
            admin.act(shared, "os-migrate_volume", {"host": there}, version="3.15")
    _are_untouched(member, rows)
    with refused(403):
        member.act(shared, "os-migrate_volume", {"host": here}, version="3.15")


@pytest.fixture(name="broken")
def _broken(admin: Api, either: str) -> Iterator[str]:
    """A volume, and whoever breaks it; it is whole again behind the test."""
    yield either
    admin.act(either, "os-reset_status", {"status": "available"})


@pytest.mark.parametrize("status", ["error", "error_extending", "error_restoring"])
def test_a_volume_in_an_error_takes_no_attachment(
    member: Api, admin: Api, broken: str, status: str
) -> None:
    admin.act(broken, "os-reset_status", {"status": status})
    for connector in (None, host("a")):
        with refused(400):
            member.create(broken, connector, str(uuid.uuid4()))
    assert member.statuses(broken) == (status, [])


def test_an_attachment_of_a_volume_in_an_error_is_only_ended(
    member: Api, service: Api, admin: Api, broken: str
) -> None:
    row = member.attach(broken, host("a"))
    admin.act(broken, "os-reset_status", {"status": "error"})
    with refused(409):
        member.update(row["id"], host("a"))
    assert member.show(row["id"]) == row
    assert member.statuses(broken) == ("error", ["attached"])
    service.delete(row["id"])
    assert member.statuses(broken) == ("available", [])


@pytest.mark.parametrize(
    "status", ["maintenance", "extending", "uploading", "backing-up"]
)
def test_a_busy_volume_takes_no_attachment(
    member: Api, admin: Api, broken: str, status: str
) -> None:
    admin.act(broken, "os-reset_status", {"status": status})
    with refused(400):
        member.create(broken, server=str(uuid.uuid4()))
    assert member.statuses(broken) == (status, [])


def test_a_volume_is_not_said_to_be_in_use_without_an_attachment(
    member: Api, admin: Api, broken: str
) -> None:
    with refused(400):
        admin.act(broken, "os-reset_status", {"status": "in-use"})
    assert member.statuses(broken) == ("available", [])


def test_a_volume_that_is_gone_takes_no_attachment(
    cloud: Cloud, member: Api, service: Api
) -> None:
    volume = member.make_volume(str(cloud.shared_type or cloud.plain_type))
    service.delete(member.attach(volume, host("a"))["id"])
    member.delete_volume(volume)
    for connector in (None, host("a")):
        with refused(404):
            member.create(volume, connector, str(uuid.uuid4()))
    assert member.find(volume_id=volume) == []


def test_no_multiattach_volume_is_encrypted(
    cloud: Cloud, member: Api, admin: Api
) -> None:
    if cloud.shared_type is None or cloud.plain_type is None:
        pytest.skip("a type that is multi-attach and one that is not are needed")
    types = admin.call("GET", "/types?is_public=None")["volume_types"]
    specs = {one["name"]: one["extra_specs"] for one in types}[cloud.shared_type]
    name = f"attachments-encrypted-{uuid.uuid4()}"
    body = {"volume_type": {"name": name, "extra_specs": specs}}
    made = admin.call("POST", "/types", body)["volume_type"]["id"]
    luks = {"provider": "luks", "control_location": "front-end"}
    admin.call("POST", f"/types/{made}/encryption", {"encryption": luks})
    # Not one that is lent: Cinder writes into a volume whose retype is refused later.
    volume = member.make_volume(cloud.plain_type)
    try:
        with refused(400):
            said = {"new_type": name, "migration_policy": "never"}
            member.act(volume, "os-retype", said)
    finally:
        member.wait(volume, "available")
        member.delete_volume(volume)
        admin.call("DELETE", f"/types/{made}")
