# SPDX-License-Identifier: Apache-2.0
"""Who may see and change attachments: readers, other projects, administrators."""

from collections.abc import Callable

import pytest

from tests.attachments.api import Api, RefusedError, Row, refused
from tests.attachments.hosts import host, passwords

#: Every request that changes an attachment.
_CHANGES: dict[str, Callable[[Api, Row], object]] = {
    "create": lambda user, row: user.create(row["volume_id"]),
    "create with a connector": lambda user, row: user.create(
        row["volume_id"], host("b")
    ),
    "update": lambda user, row: user.update(row["id"], host("b")),
    "complete": lambda user, row: user.complete(row["id"]),
    "delete": lambda user, row: user.delete(row["id"]),
}


@pytest.fixture(name="row")
def _row(member: Api, shared: str) -> Row:
    """An attachment of the member's."""
    return member.attach(shared, host("a"))


def _is_untouched(member: Api, row: Row) -> None:
    assert member.show(row["id"]) == row
    assert member.statuses(row["volume_id"]) == ("in-use", ["attached"])


@pytest.mark.parametrize("change", _CHANGES)
def test_a_reader_changes_no_attachment(
    member: Api, reader: Api, row: Row, change: str
) -> None:
    with refused(403):
        _CHANGES[change](reader, row)
    _is_untouched(member, row)


def test_a_reader_sees_the_attachments_of_its_project(reader: Api, row: Row) -> None:
    shown = reader.show(row["id"])
    assert (shown["id"], shown["status"]) == (row["id"], "attached")
    assert [known["id"] for known in reader.find(volume_id=row["volume_id"])] == [
        row["id"]
    ]


def test_a_reader_is_shown_no_password(reader: Api, row: Row) -> None:
    if not passwords(row["connection_info"]):
        pytest.skip("the back end gives its hosts no password")
    shown = reader.show(row["id"])
    assert not passwords(shown["connection_info"] or {})


@pytest.mark.parametrize("change", _CHANGES)
def test_another_project_changes_no_attachment(
    member: Api, other: Api, row: Row, change: str
) -> None:
    with refused(403, 404):
        _CHANGES[change](other, row)
    _is_untouched(member, row)


def test_another_project_finds_no_attachment(other: Api, row: Row) -> None:
    for how in ({}, {"volume_id": row["volume_id"]}, {"all_tenants": "1"}):
        for detail in (False, True):
            found = other.find(detail=detail, **how)
            assert row["id"] not in {known["id"] for known in found}


def test_an_administrator_finds_the_attachments_of_all_projects(
    admin: Api, row: Row
) -> None:
    found = admin.find(all_tenants="1", volume_id=row["volume_id"])
    assert [known["id"] for known in found] == [row["id"]]


def test_an_administrator_updates_and_completes_any(
    member: Api, admin: Api, row: Row
) -> None:
    assert admin.show(row["id"]) == row
    answer = admin.update(row["id"], host("a"))
    assert answer["connection_info"] == row["connection_info"]
    admin.complete(row["id"])
    _is_untouched(member, {**row, "attached_at": member.show(row["id"])["attached_at"]})


def test_a_server_s_attachment_is_not_ended_by_a_user_alone(
    member: Api, service: Api, row: Row
) -> None:
    # Cinder asks Nova, and lets a user end it where Nova knows no such server. Where
    # there is no Nova to ask, only a service's token ends it.
    if (status := _status_of(lambda: member.delete(row["id"]))) is not None:
        assert status in (409, 500, 503)
        _is_untouched(member, row)
        service.delete(row["id"])
    assert member.statuses(row["volume_id"]) == ("available", [])


def _status_of(request: Callable[[], object]) -> int | None:
    """Give the status of a refusal; None if the request is answered."""
    try:
        request()
    except RefusedError as error:
        return error.status
    return None
