# SPDX-License-Identifier: Apache-2.0
"""Requests that come at the same time."""

import functools
import time
import uuid
from collections import Counter
from typing import Any

import pytest

from tests.attachments.api import PATIENCE, Api, RefusedError, Row
from tests.attachments.cloud import Cloud
from tests.attachments.hosts import host, passwords

MANY = 6


def _server() -> str:
    return str(uuid.uuid4())


def _outcomes(results: list[Any]) -> Counter[int]:
    """Count the statuses of the answers; 0 are those that are no error."""
    for result in results:
        assert not isinstance(result, Exception) or isinstance(result, RefusedError)
    return Counter(getattr(result, "status", 0) for result in results)


def _attach(member: Api, volume: str, name: str) -> Row:
    """Attach a host, and wait for the others whose turn it is, as Nova's users do."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return member.attach(volume, host(name))
        except RefusedError as error:
            if error.status != 400 or time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def _all_succeed(results: list[Any]) -> list[Any]:
    assert [result for result in results if isinstance(result, Exception)] == []
    return results


@pytest.fixture(name="rows")
def _rows(member: Api, shared: str) -> list[Row]:
    """The attachments of many hosts, one after the other."""
    return [member.attach(shared, host(name)) for name in "abcdef"[:MANY]]


def test_one_of_many_reserves_a_volume(cloud: Cloud, member: Api, either: str) -> None:
    results = cloud.at_once(
        *(
            functools.partial(member.create, either, None, _server())
            for _ in range(MANY)
        )
    )
    assert _outcomes(results) == {0: 1, 400: MANY - 1}
    assert member.statuses(either) == ("reserved", ["reserved"])


def test_one_of_many_connects_a_plain_volume(
    cloud: Cloud, member: Api, plain: str
) -> None:
    results = cloud.at_once(
        *(
            functools.partial(member.create, plain, host(name), _server())
            for name in "abcd"
        )
    )
    assert _outcomes(results) == {0: 1, 400: 3}
    assert member.statuses(plain) == ("attaching", ["attaching"])


def test_many_hosts_attach_and_detach_at_once(
    cloud: Cloud, member: Api, service: Api, shared: str
) -> None:
    hosts = "abcdef"[:MANY]
    rows = _all_succeed(
        cloud.at_once(
            *(functools.partial(_attach, member, shared, name) for name in hosts)
        )
    )
    assert member.statuses(shared) == ("in-use", ["attached"] * MANY)
    for row in rows:
        assert member.show(row["id"]) == row
    given = [passwords(row["connection_info"]) for row in rows]
    assert len(set.union(*given)) == sum(map(len, given))
    _all_succeed(
        cloud.at_once(*(functools.partial(service.delete, row["id"]) for row in rows))
    )
    assert member.statuses(shared) == ("available", [])


def test_many_hosts_detach_at_once(
    cloud: Cloud, member: Api, service: Api, shared: str, rows: list[Row]
) -> None:
    _all_succeed(
        cloud.at_once(*(functools.partial(service.delete, row["id"]) for row in rows))
    )
    assert member.statuses(shared) == ("available", [])
    again = member.attach(shared, host("a"))
    assert again["status"] == "attached"


def test_many_hosts_say_who_they_are_at_once(
    cloud: Cloud, member: Api, shared: str
) -> None:
    made = []
    for _ in range(MANY):
        made.append(member.create(shared, server=_server())["id"])
        member.complete(made[-1])  # Cinder takes no other one before
    hosts = [host(name) for name in "abcdef"[:MANY]]
    answers = _all_succeed(
        cloud.at_once(
            *(
                functools.partial(member.update, attachment, connector)
                for attachment, connector in zip(made, hosts, strict=True)
            )
        )
    )
    assert member.statuses(shared) == ("attaching", ["attaching"] * MANY)
    given = [passwords(answer["connection_info"]) for answer in answers]
    assert len(set.union(*given)) == sum(map(len, given))
    for attachment, answer in zip(made, answers, strict=True):
        shown = member.show(attachment)["connection_info"]
        assert shown == answer["connection_info"]
    _all_succeed(
        cloud.at_once(*(functools.partial(member.complete, one) for one in made))
    )
    assert member.statuses(shared) == ("in-use", ["attached"] * MANY)


def test_two_hosts_stay_while_others_come_and_go(
    cloud: Cloud, member: Api, service: Api, shared: str
) -> None:
    staying = [member.attach(shared, host(name)) for name in "ab"]

    def come_and_go(name: str) -> None:
        for _ in range(3):
            service.delete(_attach(member, shared, name)["id"])

    _all_succeed(
        cloud.at_once(*(functools.partial(come_and_go, name) for name in "cdb"))
    )
    assert [member.show(row["id"]) for row in staying] == staying
    assert member.statuses(shared) == ("in-use", ["attached", "attached"])


def test_one_host_attaches_many_servers_at_once(
    cloud: Cloud, member: Api, service: Api, shared: str
) -> None:
    rows = _all_succeed(
        cloud.at_once(*[functools.partial(_attach, member, shared, "a")] * 4)
    )
    _all_succeed(
        cloud.at_once(
            *(functools.partial(service.delete, row["id"]) for row in rows[1:])
        )
    )
    assert member.show(rows[0]["id"]) == rows[0]
    assert member.statuses(shared) == ("in-use", ["attached"])
    service.delete(rows[0]["id"])
    assert member.statuses(shared) == ("available", [])


def test_one_attachment_is_updated_many_times_at_once(
    cloud: Cloud, member: Api, either: str
) -> None:
    made = member.create(either, server=_server())["id"]
    answers = _all_succeed(
        cloud.at_once(*[functools.partial(member.update, made, host("a"))] * 4)
    )
    for answer in answers:
        assert answer["connection_info"] == answers[0]["connection_info"]
    assert member.show(made)["connection_info"] == answers[0]["connection_info"]
    assert member.statuses(either) == ("attaching", ["attaching"])


def test_one_attachment_is_deleted_many_times_at_once(
    cloud: Cloud, member: Api, service: Api, either: str
) -> None:
    row = member.attach(either, host("a"))
    results = cloud.at_once(*[functools.partial(service.delete, row["id"])] * 4)
    outcomes = _outcomes(results)
    assert outcomes[0] >= 1
    assert set(outcomes) <= {0, 404}
    assert member.statuses(either) == ("available", [])


def test_one_of_two_is_deleted_many_times_at_once(
    cloud: Cloud, member: Api, service: Api, shared: str
) -> None:
    going, staying = (member.attach(shared, host(name)) for name in "ab")
    results = cloud.at_once(*[functools.partial(service.delete, going["id"])] * 4)
    outcomes = _outcomes(results)
    assert outcomes[0] >= 1
    assert set(outcomes) <= {0, 404}
    assert member.show(staying["id"]) == staying
    assert member.statuses(shared) == ("in-use", ["attached"])
    service.delete(staying["id"])
    assert member.statuses(shared) == ("available", [])
