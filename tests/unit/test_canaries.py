# SPDX-License-Identifier: Apache-2.0
"""What this driver relies on in Cinder and oslo.privsep, and no contract promises.

Each test tries the other side's own code, and not this driver's. One that fails says
what changed, and where this driver went by it.
"""

import queue
import socket
import threading

import pytest
from cinder import coordination, exception, objects
from cinder.volume.targets import lio
from oslo_privsep import comm, daemon

from taikun_cinder.targets.lio.kernel import NodesKernel
from tests.unit.cloud import A, B


@pytest.fixture
def attach(cloud, monkeypatch):
    """Return a function that attaches a host, while a driver does something more."""
    real = cloud.driver.initialize_connection

    def attach(more):
        def initialize(volume, connector):
            answer = real(volume, connector)
            more(answer, connector)
            return answer

        monkeypatch.setattr(cloud.driver, "initialize_connection", initialize)
        return cloud.attach(cloud.volume(), A)

    return attach


def test_the_connector_that_a_driver_changes_is_what_cinder_stores(cloud, attach):
    attached = attach(lambda answer, connector: connector.update(canary="sings"))
    row = objects.VolumeAttachment.get_by_id(cloud.context, attached.id)
    assert row.connector.get("canary") == "sings", (
        "Cinder (manager._connection_create) stores another connector than the one "
        "that it gave the driver. A detach is told from others by a mark that the "
        "driver writes there (access/identity.py)."
    )


def test_what_a_driver_says_above_its_data_is_what_a_host_is_told(attach):
    attached = attach(lambda answer, connector: answer.update(access_mode="canary"))
    assert attached.information["access_mode"] == "canary", (
        "Cinder's own access_mode (manager._parse_connection_options) wins over the "
        "driver's, so a host is told another mode than the target enforces "
        "(connection_info.py)."
    )


@pytest.mark.parametrize(("answer", "kept"), [(True, True), (False, False), (1, False)])
def test_only_a_true_answer_of_a_driver_keeps_the_export(
    cloud, monkeypatch, answer, kept
):
    volume = cloud.volume()
    attached = cloud.attach(volume, A)
    removed = []
    monkeypatch.setattr(cloud.driver, "terminate_connection", lambda *_, **__: answer)
    monkeypatch.setattr(cloud.driver, "remove_export", lambda *_: removed.append(1))
    cloud.manager.attachment_delete(cloud.context, attached.id, cloud.load(volume))
    assert (not removed) == kept, (
        "Cinder (manager._do_attachment_delete) reads the answer of "
        "terminate_connection in another way (driver.terminate_connection)."
    )


def test_a_failed_attach_is_followed_by_remove_export_in_its_thread(cloud, monkeypatch):
    called: queue.SimpleQueue[tuple[str, threading.Thread]] = queue.SimpleQueue()

    def fail(*_):
        called.put(("initialize_connection", threading.current_thread()))
        raise RuntimeError("canary")

    monkeypatch.setattr(cloud.driver, "initialize_connection", fail)
    monkeypatch.setattr(
        cloud.driver,
        "remove_export",
        lambda *_: called.put(("remove_export", threading.current_thread())),
    )
    with pytest.raises(exception.VolumeBackendAPIException):
        cloud.attach(cloud.volume(), A)
    first, second = called.get(timeout=1), called.get(timeout=1)
    assert second == ("remove_export", first[1]), (
        "Cinder (manager._connection_create) does not call remove_export next after a "
        "failed initialize_connection (driver._has_failed)."
    )


def test_the_rows_of_a_volume_are_written_before_a_host_is_answered(cloud, monkeypatch):
    # The row has the connector by then, and another host's request can read it.
    attached = cloud.reserve(volume := cloud.volume())
    cloud.manager.attachment_update(
        cloud.context, cloud.load(volume), dict(B), attached.id
    )
    row = objects.VolumeAttachment.get_by_id(cloud.context, attached.id)
    assert row.connector, (
        "Cinder (manager.attachment_update) answers before it has stored the connector "
        "(access/ledger.py counts on it for how long an answer stays unseen)."
    )


def test_cinders_own_lio_driver_waits_for_our_lock_and_for_no_other(cinder):
    done = threading.Event()

    def in_tree():
        lio.LioAdm._execute("true")
        done.set()

    with NodesKernel().alone():
        thread = threading.Thread(target=in_tree)
        thread.start()
        waited = not done.wait(0.5)
    thread.join()
    assert waited, (
        "Cinder's LIO driver (cinder.volume.targets.lio) no longer takes the lock "
        "lioadm for its commands, so it changes LIO while we do (kernel.alone)."
    )


def test_a_lock_by_its_name_is_one_for_all_drivers(cinder):
    # ``locks.of`` names a lock itself; Cinder's decorator is not for that.
    first = coordination.COORDINATOR.get_lock("canary")
    second = coordination.COORDINATOR.get_lock("canary")
    with first:
        assert not second.acquire(blocking=False), (
            "Two locks of one name do not exclude each other (locks.of)."
        )


def test_the_client_of_oslo_privsep_has_the_parts_that_we_reach_into():
    ours, its = socket.socketpair()
    with ours, its:
        channel = comm.ClientChannel(ours)
        parts = ("running", "lock", "outstanding_msgs", "reader_thread")
        missing = [part for part in parts if not hasattr(channel, part)]
        its.close()
        channel.reader_thread.join()
    assert not missing, (
        f"oslo.privsep's ClientChannel has no {missing} any more (privsep/client.py "
        "frees with them who waits for a process that was lost)."
    )
    assert hasattr(daemon.Daemon, "loop"), (
        "oslo.privsep's Daemon has no loop any more (lab/guest/privileged.py)."
    )
