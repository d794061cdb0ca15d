# SPDX-License-Identifier: Apache-2.0
"""GET: lists, details, filters and pages."""

import uuid

import pytest

from tests.attachments.api import Api, Row, refused
from tests.attachments.hosts import host

_SUMMARY = {"id", "status", "instance", "volume_id"}
_DETAIL = _SUMMARY | {"attached_at", "detached_at", "attach_mode", "connection_info"}


@pytest.fixture(name="rows")
def _rows(member: Api, shared: str) -> list[Row]:
    """Three attachments of the shared volume: attached, without a host, reserved."""
    attached = member.attach(shared, host("a"))
    bare = member.create(shared, server=str(uuid.uuid4()))
    member.complete(bare["id"])
    reserved = member.create(shared, server=str(uuid.uuid4()))
    return [attached, member.show(bare["id"]), member.show(reserved["id"])]


def _ids(rows: list[Row]) -> list[str]:
    return sorted(row["id"] for row in rows)


def test_a_list_has_summaries_and_details(
    member: Api, shared: str, rows: list[Row]
) -> None:
    for detail, keys in ((False, _SUMMARY), (True, _DETAIL)):
        found = member.find(detail=detail, volume_id=shared)
        assert _ids(found) == _ids(rows)
        assert {frozenset(row) for row in found} == {frozenset(keys)}


def test_a_detail_is_what_is_shown(member: Api, shared: str, rows: list[Row]) -> None:
    found = {row["id"]: row for row in member.find(detail=True, volume_id=shared)}
    assert found == {row["id"]: row for row in rows}


def test_attachments_are_found_by_their_server_and_status(
    member: Api, shared: str, rows: list[Row]
) -> None:
    attached, bare, reserved = rows
    for how, expected in (
        ({"instance_id": attached["instance"]}, [attached]),
        ({"attach_status": "attached"}, [attached, bare]),
        ({"attach_status": "reserved"}, [reserved]),
        ({"attach_status": "attaching"}, []),
        ({"instance_id": str(uuid.uuid4())}, []),
    ):
        assert _ids(member.find(volume_id=shared, **how)) == _ids(expected), how
    assert member.find(volume_id=str(uuid.uuid4())) == []


def test_attachments_are_found_by_the_name_that_their_status_has_in_a_list(
    member: Api, shared: str, rows: list[Row]
) -> None:
    reserved = rows[2]
    assert _ids(member.find(volume_id=shared, status="reserved")) == [reserved["id"]]


def test_a_filter_that_is_not_there_is_refused(member: Api) -> None:
    with refused(400) as seen:
        member.find(colour="red")
    assert "colour" in seen.words


@pytest.mark.usefixtures("rows")
def test_pages_have_every_attachment_once(member: Api, shared: str) -> None:
    for key in ("created_at", "id"):
        everything = member.find(volume_id=shared, sort=f"{key}:asc")
        pages = []
        more: Row = {}
        while page := member.find(volume_id=shared, sort=f"{key}:asc", limit=1, **more):
            assert len(page) == 1
            pages += page
            more = {"marker": page[0]["id"]}
        assert pages == everything
        backwards = member.find(volume_id=shared, sort=f"{key}:desc")
        if key == "id":  # created_at may be the same for two
            assert backwards == everything[::-1]
            assert member.find(volume_id=shared, sort="id:asc", offset=1) == pages[1:]


@pytest.mark.parametrize(
    "how",
    [
        {"limit": -1},
        {"limit": "many"},
        {"offset": -1},
        {"offset": "some"},
        {"marker": str(uuid.uuid4())},
        {"sort": "colour:asc"},
        {"sort": "id:sideways"},
    ],
    ids=lambda how: "-".join(map(str, how)),
)
def test_a_page_that_is_not_there_is_refused(member: Api, how: Row) -> None:
    with refused(400, 404):
        member.find(**how)


@pytest.mark.parametrize("name", [str(uuid.uuid4()), "not-a-uuid", "%00", "x" * 300])
def test_an_attachment_that_is_not_there_is_not_found(member: Api, name: str) -> None:
    for method, path, body in (
        ("GET", "", None),
        ("PUT", "", {"attachment": {"connector": host("a")}}),
        ("POST", "/action", {"os-complete": None}),
        ("DELETE", "", None),
    ):
        with refused(404):
            member.call(method, f"/attachments/{name}{path}", body)


def test_there_are_no_attachments_before_microversion_3_27(member: Api) -> None:
    with refused(404):
        member.find(version="3.26")
    member.find(version="3.27")


def test_a_volume_shows_who_has_it(member: Api, shared: str) -> None:
    rows = [member.attach(shared, host(name)) for name in "ab"]
    shown = member.volume(shared)
    assert shown["multiattach"] is True
    assert {
        (known["attachment_id"], known["server_id"]) for known in shown["attachments"]
    } == {(row["id"], row["instance"]) for row in rows}
