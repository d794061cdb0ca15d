# SPDX-License-Identifier: Apache-2.0
"""What a host is told: its own, nobody else's, the same when it is read again."""

import json
import uuid

import pytest

from tests.attachments.api import Api, Row, refused
from tests.attachments.hosts import host, passwords


@pytest.fixture(name="rows")
def _rows(member: Api, shared: str) -> list[Row]:
    """The attachments of three hosts, each with a password."""
    rows = [member.attach(shared, host(name)) for name in "abc"]
    if not all(passwords(row["connection_info"]) for row in rows):
        pytest.skip("the back end gives its hosts no password")
    return rows


def test_an_attached_host_has_all_it_logs_in_with(member: Api, either: str) -> None:
    information = member.attach(either, host("a"))["connection_info"]
    if "auth_method" not in information:
        pytest.skip("the back end asks for no login")
    assert information["auth_method"] == "CHAP"
    assert information["auth_username"]
    assert information["auth_password"]


def test_no_two_hosts_share_a_password(rows: list[Row]) -> None:
    given = [passwords(row["connection_info"]) for row in rows]
    assert len(set.union(*given)) == sum(map(len, given))


def test_no_host_is_told_anothers_password(member: Api, rows: list[Row]) -> None:
    for row in rows:
        told = json.dumps(member.show(row["id"])["connection_info"])
        others = (other for other in rows if other is not row)
        for other in others:
            for secret in passwords(other["connection_info"]):
                assert secret not in told


def test_each_attachment_has_its_own_information(
    member: Api, service: Api, rows: list[Row]
) -> None:
    for row in rows:
        assert row["connection_info"]["attachment_id"] == row["id"]
    service.delete(rows[1]["id"])
    for row in (rows[0], rows[2]):
        assert member.show(row["id"]) == row


def test_it_stays_the_same_while_others_come_and_go(
    member: Api, service: Api, shared: str
) -> None:
    staying = member.attach(shared, host("a"))
    for name in ("b", "c", "b"):
        service.delete(member.attach(shared, host(name))["id"])
        assert member.show(staying["id"]) == staying


def test_it_is_gone_with_its_attachment(
    member: Api, service: Api, admin: Api, either: str
) -> None:
    row = member.attach(either, host("a"))
    service.delete(row["id"])
    for user in (member, service, admin):
        with refused(404):
            user.show(row["id"])
        for detail in (False, True):
            assert user.find(detail=detail, volume_id=either) == []


def test_the_password_is_worth_nothing_after_the_detach(
    member: Api, service: Api, either: str
) -> None:
    before = member.attach(either, host("a"))
    if not passwords(before["connection_info"]):
        pytest.skip("the back end gives its hosts no password")
    service.delete(before["id"])
    after = member.attach(either, host("a"))
    assert not passwords(before["connection_info"]) & passwords(
        after["connection_info"]
    )


def test_a_host_knows_the_disk_again(member: Api, service: Api, either: str) -> None:
    before = member.attach(either, host("a"))["connection_info"]
    for row in member.find(volume_id=either):
        service.delete(row["id"])
    after = member.attach(either, host("a"))["connection_info"]
    for key in (
        "target_iqn",
        "target_iqns",
        "target_portal",
        "target_lun",
        "volume_id",
    ):
        assert before.get(key) == after.get(key), key


def test_a_reserved_attachment_tells_nothing(member: Api, either: str) -> None:
    made = member.create(either, server=str(uuid.uuid4()))
    for row in (made, member.show(made["id"])):
        assert not row["connection_info"]


def test_a_list_of_summaries_tells_nothing(
    member: Api, shared: str, rows: list[Row]
) -> None:
    told = json.dumps(member.find(volume_id=shared))
    for row in rows:
        for secret in passwords(row["connection_info"]):
            assert secret not in told


def test_a_volume_shows_no_password(member: Api, shared: str, rows: list[Row]) -> None:
    told = json.dumps(member.volume(shared))
    for row in rows:
        for secret in passwords(row["connection_info"]):
            assert secret not in told


def test_an_administrator_is_shown_no_password_with_the_volume(
    admin: Api, shared: str, rows: list[Row]
) -> None:
    told = json.dumps(admin.volume(shared))
    for row in rows:
        for secret in passwords(row["connection_info"]):
            assert secret not in told
