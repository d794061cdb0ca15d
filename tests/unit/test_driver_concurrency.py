# SPDX-License-Identifier: Apache-2.0
"""Calls that overlap, are repeated or come late harm nobody and leave nothing."""

import threading
import time
from functools import partial

import pytest

from taikun_cinder.exception import RecordNotWritten
from tests.unit.cloud import A, B, Host, in_threads

C = Host("compute3").connector


@pytest.fixture
def at_once(cloud, monkeypatch):
    """Return a function that connects hosts; all but the first have one batch."""
    exports = cloud.driver._exports

    def at_once(*calls):
        locked, first = exports.locked, threading.Event()

        def gather(volume):
            monkeypatch.setattr(exports, "locked", locked)
            first.set()
            (queue,) = exports._attaches._queues.values()
            deadline = time.monotonic() + 20
            while len(queue.waiting) < len(calls) - 1:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            return locked(volume)

        def wait(call):
            assert first.wait(20)
            call()

        monkeypatch.setattr(exports, "locked", gather)
        in_threads(calls[0], *(partial(wait, call) for call in calls[1:]))

    return at_once


@pytest.fixture
def half_written(cloud, monkeypatch):
    """Let the record of a batch of B and C fail once; it is given here then.

    It is there all the same: the folder's fsync fails after the rename.
    """
    failed: list[object] = []
    records = cloud.driver._exports._records
    save = records.save

    def fail(volume_id, record):
        save(volume_id, record)
        if {B["initiator"], C["initiator"]} <= {*_connected(record)} and not failed:
            failed.append(record)
            raise RecordNotWritten(volume=volume_id, path="", cause="", cure="")

    monkeypatch.setattr(records, "save", fail)
    return failed


def _connected(record):
    return [one.grant.initiator.name for one in record.ledger.connections]


def test_two_concurrent_detaches_leave_nothing(cloud):
    volume = cloud.volume()
    first, second = cloud.attach(volume, A), cloud.attach(volume, B)
    # Both are ended before cinder-api deletes the first row.
    loaded = cloud.load(volume)
    assert cloud.terminate(volume, first) is True
    assert cloud.terminate(volume, second) is False
    cloud.driver.remove_export(cloud.context, loaded)
    cloud.forget(volume, first)
    cloud.forget(volume, second)
    assert cloud.acls(volume) is None


def test_two_concurrent_detaches_of_one_host_leave_nothing(cloud):
    volume = cloud.volume()
    first, second = cloud.attach(volume, A), cloud.attach(volume, A)
    in_threads(
        lambda: cloud.detach(volume, first), lambda: cloud.detach(volume, second)
    )
    assert cloud.acls(volume) is None


def test_two_detaches_of_one_host_before_any_row_is_deleted_leave_nothing(cloud):
    volume = cloud.volume()
    first, second = cloud.attach(volume, A), cloud.attach(volume, A)
    assert cloud.terminate(volume, first) is True
    assert cloud.terminate(volume, second) is False
    assert cloud.acls(volume) is None


def test_detach_repeated_after_an_api_failure_keeps_the_other_server(cloud):
    volume = cloud.volume()
    first, second = cloud.attach(volume, A), cloud.attach(volume, A)
    # cinder-api gave up waiting, so the row stays, and the user detaches again.
    cloud.manager.attachment_delete(cloud.context, first.id, cloud.load(volume))
    cloud.detach(volume, first)
    assert second.session.alive
    cloud.detach(volume, second)
    assert cloud.acls(volume) is None


def test_detach_of_the_last_repeated_after_an_api_failure_succeeds(cloud):
    volume = cloud.volume()
    only = cloud.attach(volume, A)
    cloud.manager.attachment_delete(cloud.context, only.id, cloud.load(volume))
    cloud.detach(volume, only)
    assert cloud.acls(volume) is None


def test_detach_overtaken_by_an_attach_keeps_the_new_host(cloud):
    volume = cloud.volume()
    first = cloud.attach(volume, A)
    loaded = cloud.load(volume)
    assert cloud.terminate(volume, first) is False
    second = cloud.attach(volume, B)
    cloud.driver.remove_export(cloud.context, loaded)
    cloud.forget(volume, first)
    assert second.session.alive
    assert cloud.acls(volume) == {B["initiator"]}


def test_detach_overtaken_by_an_attach_of_the_same_host_keeps_the_new_server(cloud):
    volume = cloud.volume()
    first = cloud.attach(volume, A)
    loaded = cloud.load(volume)
    assert cloud.terminate(volume, first) is False
    second = cloud.attach(volume, A)
    cloud.driver.remove_export(cloud.context, loaded)
    cloud.forget(volume, first)
    assert second.session.alive
    cloud.detach(volume, second)
    assert cloud.acls(volume) is None


def test_detach_overtaken_in_the_middle_of_an_attach_keeps_the_export(cloud):
    volume = cloud.volume()
    first, row = cloud.attach(volume, A), cloud.reserve(volume)
    loaded = cloud.load(volume)
    assert cloud.terminate(volume, first) is False
    cloud.driver.create_export(cloud.context, loaded, dict(B))
    cloud.driver.remove_export(cloud.context, loaded)
    cloud.driver.initialize_connection(loaded, dict(B))
    cloud.forget(volume, first)
    second = cloud.connect(volume, B, row)
    assert second.session.alive


def test_attached_host_lives_through_a_storm_of_attaches_and_detaches(cloud):
    volume = cloud.volume()
    stays = cloud.attach(volume, A)

    def come_and_go(name):
        for _ in range(3):
            cloud.detach(volume, cloud.attach(volume, Host(name).connector))

    in_threads(*(partial(come_and_go, f"compute{n}") for n in (1, 2, 3)))
    assert stays.session.alive
    assert cloud.acls(volume) == {A["initiator"]}
    cloud.detach(volume, stays)
    assert cloud.acls(volume) is None


@pytest.mark.parametrize("reads", [(), (B,), (B, C)], ids=["rw", "rw ro", "ro"])
def test_hosts_of_a_record_that_failed_have_one_connection_each(
    cloud, at_once, half_written, reads
):
    volume = cloud.volume()
    rows = {
        connector["host"]: cloud.reserve(volume, "ro" if connector in reads else "rw")
        for connector in (A, B, C)
    }
    at_once(
        *(partial(cloud.connect, volume, one, rows[one["host"]]) for one in (A, B, C))
    )
    assert half_written
    found = _connected(cloud.driver._exports._records.load(volume))
    assert len(found) == len({*found})
    for connector in (B, C):
        cloud.detach(volume, rows[connector["host"]])
    assert cloud.acls(volume) == {A["initiator"]}


def test_hosts_of_the_old_api_lose_access_at_once_after_a_record_that_failed(
    cloud, at_once, half_written
):
    volume = cloud.volume()
    row = cloud.load(volume)
    row.status = "attaching"
    row.save()
    at_once(*(partial(cloud.connect_only, row, one) for one in (A, B, C)))
    assert half_written
    found = _connected(cloud.driver._exports._records.load(volume))
    assert len(found) == len({*found})
    for connector in (A, B, C):
        cloud.manager.terminate_connection(cloud.context, volume, dict(connector))
    assert cloud.acls(volume) is None


def test_host_of_a_record_that_failed_is_no_second_server_of_itself(
    cloud, at_once, half_written
):
    """Only B asks to write."""
    volume = cloud.volume(**cloud.volume_type(secondary_mode="ro"))
    modes = {A["host"]: "ro", B["host"]: "rw", C["host"]: "ro"}
    rows = {host: cloud.reserve(volume, mode) for host, mode in modes.items()}
    at_once(
        *(
            partial(
                cloud.connect,
                volume,
                one | {"mode": modes[one["host"]]},
                rows[one["host"]],
            )
            for one in (A, B, C)
        )
    )
    assert half_written
    cloud.watch(2)
    assert (rows[B["host"]].writes(), rows[C["host"]].writes()) == (True, False)
