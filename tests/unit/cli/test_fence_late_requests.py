# SPDX-License-Identifier: Apache-2.0
"""A fence and a request to attach that came before it and is carried out later."""

import contextlib
import threading
from typing import Any

import pytest
from cinder import exception

from taikun_cinder import database, locks
from taikun_cinder.access.contents import Content, Look
from taikun_cinder.access.model import Initiator
from tests.contract.memory import LoginRefusedError
from tests.unit.cli.conftest import GoneLock
from tests.unit.cli.overtaking import late_request
from tests.unit.cloud import A, B

#: What Nova adds to the connectors of a host's servers.
FIRST, LATER = {"mountpoint": "/dev/vdb"}, {"mountpoint": "/dev/vdc"}


@pytest.mark.parametrize("before", [False, True])
def test_host_that_is_fenced_while_its_request_waits_gets_nothing(
    cloud, meanwhile, fence, before
):
    """The fence does not know whose the attachment is, as it has no connector."""
    volume = cloud.volume()
    running = cloud.attach(volume, A | FIRST)
    if before:
        assert fence(volume, A["host"]).status == 0
        running = cloud.attach(volume, A | {"mountpoint": "/dev/vdd"})
    cloud.watch(1)
    waiting = cloud.reserve(volume)
    done = []
    meanwhile(lambda: done.append(fence(volume, A["host"])))
    with pytest.raises(
        exception.VolumeBackendAPIException, match="while the request waited"
    ):
        cloud.connect(volume, A | LATER, waiting)
    assert done[0].status == 0
    assert not running.session.alive
    # What the fenced host's initiator goes on trying, with the pair that it had.
    with pytest.raises(LoginRefusedError):
        cloud.target.log_in(cloud.load(volume), A, running.information)
    # What comes after the fence is let in, as it says.
    assert cloud.connect(volume, A | LATER, waiting).session.alive


@pytest.mark.parametrize("how", ["deleted", "detached", "detached by force"])
def test_fence_that_is_over_keeps_out_who_waited_while_it_was_set(
    cloud, meanwhile, fence, how
):
    volume = cloud.volume()
    running = cloud.attach(volume, A | FIRST)
    cloud.watch(1)
    waiting = cloud.reserve(volume)
    end = {
        "deleted": lambda: cloud.forget(volume, running),
        "detached": lambda: cloud.detach(volume, running),
        "detached by force": lambda: cloud.force_detach(volume, running, A),
    }[how]

    def fence_and_end():
        assert fence(volume, A["host"]).status == 0
        end()

    meanwhile(fence_and_end)
    with pytest.raises(
        exception.VolumeBackendAPIException, match="while the request waited"
    ):
        cloud.connect(volume, A | LATER, waiting)
    assert not cloud.driver._exports.fences.of(volume)
    assert cloud.connect(volume, A | LATER, waiting).session.alive


def test_other_host_may_come_while_one_is_fenced(cloud, meanwhile, fence):
    volume = cloud.volume()
    cloud.attach(volume, A | FIRST)
    waiting = cloud.reserve(volume)
    meanwhile(lambda: fence(volume, A["host"]))
    assert cloud.connect(volume, B | FIRST, waiting).session.alive


def test_late_request_of_a_host_that_was_fenced_once_gets_nothing(
    cloud, meanwhile, fence, goes_after
):
    volume = cloud.volume()
    cloud.attach(volume, B)
    cloud.attach(volume, A | FIRST)
    assert fence(volume, A["host"]).status == 0
    new = cloud.attach(volume, A | LATER)
    cloud.watch(1)
    meanwhile(lambda: cloud.terminate(volume, new))
    goes_after(volume, new)
    with pytest.raises(exception.VolumeBackendAPIException, match="gets no access"):
        cloud.connect(volume, A | LATER, new)
    cloud.reconcile()
    assert cloud.acls(volume) == {B["initiator"]}


def test_fence_that_is_over_at_once_keeps_out_who_waited(cloud, meanwhile, fence):
    """Its row was deleted without the driver; the host is in by its ACL still."""
    volume = cloud.volume()
    cloud.attach(volume, B)
    running = cloud.attach(volume, A | FIRST)
    cloud.watch(1)
    cloud.forget(volume, running)
    waiting = cloud.reserve(volume)
    done = []
    meanwhile(lambda: done.append(fence(volume, A["host"])))
    with contextlib.suppress(exception.CinderException):
        cloud.connect(volume, A | LATER, waiting)
    assert done[0].status == 0, done[0].complaints
    assert cloud.acls(volume) == {B["initiator"]}


@pytest.mark.parametrize("before", ["no fence", "fenced once"])
def test_host_that_is_fenced_while_its_own_attach_stands_still_gets_nothing(
    cloud, fence, monkeypatch, before
):
    volume = cloud.volume()
    cloud.attach(volume, B)
    cloud.attach(volume, A | FIRST)
    cloud.watch(1)
    if before != "no fence":
        assert fence(volume, A["host"]).status == 0
    waiting = cloud.reserve(volume)
    ensure, done = cloud.target.ensure, []

    def stands_still(*arguments, **named):
        monkeypatch.setattr(cloud.target, "ensure", ensure)
        done.append(fence(volume, A["host"]))
        return ensure(*arguments, **named)

    monkeypatch.setattr(locks, "of", lambda name_id: GoneLock())
    monkeypatch.setattr(cloud.target, "ensure", stands_still)
    said = None
    try:
        cloud.connect(volume, A | LATER, waiting)
    except Exception as error:
        said = error
    assert done[0].status == 0, done[0].complaints
    now = cloud.acls(volume)
    cloud.pass_often()
    assert (now, cloud.acls(volume)) == ({B["initiator"]}, {B["initiator"]}), said


def test_request_that_comes_before_the_fence_is_done_gets_nothing(
    cloud, fence, monkeypatch
):
    """The fence's file is written, the disk is slow to end the session."""
    volume = cloud.volume()
    cloud.attach(volume, B)
    cloud.attach(volume, A | FIRST)
    cloud.watch(1)
    waiting = cloud.reserve(volume)
    start, end = late_request(cloud, monkeypatch, volume, A | LATER, waiting)
    revoke = cloud.target.revoke

    def slow(*arguments):
        monkeypatch.setattr(cloud.target, "revoke", revoke)
        start()
        return revoke(*arguments)

    monkeypatch.setattr(cloud.target, "revoke", slow)
    done = fence(volume, A["host"])
    end()
    assert done.status == 0, done.complaints
    assert cloud.acls(volume) == {B["initiator"]}


def test_fence_that_an_older_one_was_written_over_keeps_out_who_waited(
    cloud, fence, meanwhile, monkeypatch, down
):
    """A fence without the database, and a second one while a pass settles the first."""
    volume = cloud.volume()
    cloud.attach(volume, B)
    cloud.attach(volume, A | FIRST)
    cloud.watch(1)
    down(True)
    assert fence(volume, A["host"]).status == 0
    down(False)
    waiting = cloud.reserve(volume)
    fences = cloud.driver._exports.fences
    keep = fences.keep
    done = []

    def late(name_id, settled):
        monkeypatch.setattr(fences, "keep", keep)
        # What the second command does first, without the lock.
        fences.set(name_id, Initiator(A["initiator"]))
        return keep(name_id, settled)

    def between():
        monkeypatch.setattr(fences, "keep", late)
        cloud.reconcile()
        # And what it does then, with it.
        exports = cloud.driver._exports
        with locks.held_for(cloud.load(volume)):
            row = database.rows_of(cloud.load(volume), cloud.target).volume
            exports.fence(row, Initiator(A["initiator"]), blind=False)
            exports.fences.mark(volume, Initiator(A["initiator"]))
        done.append(cloud.acls(volume))

    meanwhile(between)
    with contextlib.suppress(exception.CinderException):
        cloud.connect(volume, A | LATER, waiting)
    assert done == [{B["initiator"]}]
    assert cloud.acls(volume) == {B["initiator"]}


@pytest.mark.parametrize("late", ["server", "cinder"])
def test_fence_of_a_connection_without_a_row_keeps_out_who_waited(
    cloud, meanwhile, fence, late
):
    """A backup runs on the host; a second request of the host waits."""
    volume = cloud.volume()
    cloud.attach(volume, B)
    session = cloud.connect_only(cloud.load(volume), A)
    waiting = cloud.reserve(volume) if late == "server" else None
    done = []
    meanwhile(lambda: done.append(fence(volume, A["host"])))
    with contextlib.suppress(exception.CinderException):
        if waiting:
            cloud.connect(volume, A | LATER, waiting)
        else:
            cloud.connect_only(cloud.load(volume), A | {"multipath": True})
    assert done[0].status == 0, done[0].complaints
    assert not session.alive
    assert cloud.acls(volume) == {B["initiator"]}


def test_host_that_is_fenced_while_somebody_looks_at_the_disk_gets_nothing(
    cloud, fence, monkeypatch
):
    """No lock is held then, so the command need not wait."""
    volume = cloud.volume(**cloud.volume_type(filesystem_guard="warn"))
    cloud.attach(volume, B)
    running = cloud.attach(volume, A | FIRST)
    cloud.watch(1)
    waiting = cloud.reserve(volume)
    done: list[Any] = []

    def look(device):
        if not done:
            done.append(fence(volume, A["host"]))
            cloud.detach(volume, running)
        return Look((Content("ext4", partition=2),))

    monkeypatch.setattr(cloud.driver._exports, "_look_at_device", look)
    with contextlib.suppress(exception.CinderException):
        cloud.connect(volume, A | LATER, waiting)
    assert done[0].status == 0
    assert cloud.acls(volume) == {B["initiator"]}


def test_of_requests_that_wait_together_the_fenced_hosts_is_refused(
    cloud, fence, monkeypatch
):
    volume = cloud.volume()
    cloud.attach(volume, A | FIRST)
    cloud.watch(1)
    exports, waiting = cloud.driver._exports, [cloud.reserve(volume) for _ in range(3)]
    locked, marks = exports.locked, exports.marks
    go, came = threading.Event(), threading.Semaphore(0)
    threads: list[threading.Thread] = []
    refused = []

    def wait(volume):
        if threading.current_thread() in threads:
            assert go.wait(20)
        return locked(volume)

    def tell(volume):
        try:
            return marks(volume)
        finally:
            came.release()

    def connect(host, row):
        try:
            cloud.connect(volume, host | LATER, row)
        except exception.CinderException as error:
            refused.append((host["host"], "while the request waited" in str(error)))

    monkeypatch.setattr(exports, "locked", wait)
    monkeypatch.setattr(exports, "marks", tell)
    for host, row in zip((B, A, B), waiting, strict=True):
        threads.append(threading.Thread(target=connect, args=(host, row)))
        threads[-1].start()
        assert came.acquire(timeout=20)
    assert fence(volume, A["host"]).status == 0
    go.set()
    for thread in threads:
        thread.join()
    assert refused == [(A["host"], True)]
    assert cloud.acls(volume) == {B["initiator"]}


def test_host_that_is_fenced_while_the_database_is_away_gets_nothing(
    cloud, fence, monkeypatch, down
):
    """For a user's context the read-only flag is read from it, before the lock."""
    volume = cloud.volume()
    cloud.attach(volume, B)
    running = cloud.attach(volume, A | FIRST)
    cloud.watch(1)
    waiting = cloud.reserve(volume)
    flag_of, done = database.readonly_flag, []

    def hangs(*arguments):
        monkeypatch.setattr(database, "readonly_flag", flag_of)
        down(True)
        done.append(fence(volume, A["host"]))
        down(False)
        return flag_of(*arguments)

    monkeypatch.setattr(database, "readonly_flag", hangs)
    with contextlib.suppress(exception.CinderException):
        cloud.connect(volume, A | LATER, waiting)
    assert done[0].status == 0
    assert not running.session.alive
    assert cloud.acls(volume) == {B["initiator"]}
