# SPDX-License-Identifier: Apache-2.0
"""Fences while other work on the volume, or on the host's other volumes, goes on."""

import contextlib
import errno
import os
import threading
from pathlib import Path

import pytest
from cinder import exception

from taikun_cinder import database, durable, locks
from taikun_cinder.access.model import Initiator
from taikun_cinder.fences import Fences
from tests.unit.cli.conftest import GoneLock
from tests.unit.cli.overtaking import during_ensure, late_request
from tests.unit.cloud import A, B

FIRST, LATER = {"mountpoint": "/dev/vdb"}, {"mountpoint": "/dev/vdc"}


@pytest.mark.parametrize("order", ["before", "after"])
def test_other_volume_of_the_host_keeps_its_servers(cloud, fence, monkeypatch, order):
    """The host is fenced off one volume, and attaches a second server to another."""
    volume, other = cloud.volume(), cloud.volume()
    cloud.attach(volume, A | FIRST)
    running = cloud.attach(other, A | FIRST)
    cloud.watch(1)
    waiting = cloud.reserve(other)
    ensure, done = cloud.target.ensure, []

    def stands_still(*arguments, **named):
        monkeypatch.setattr(cloud.target, "ensure", ensure)
        if order == "before":
            done.append(fence(volume, A["host"]))
        result = ensure(*arguments, **named)
        if order == "after":
            done.append(fence(volume, A["host"]))
        return result

    monkeypatch.setattr(cloud.target, "ensure", stands_still)
    with contextlib.suppress(exception.CinderException):
        cloud.connect(other, A | LATER, waiting)
    assert done[0].status == 0, done[0].complaints
    assert cloud.acls(other) == {A["initiator"]}
    assert running.session.alive


def test_other_volume_of_the_host_is_there_after_a_boot(cloud, fence, monkeypatch):
    volume, other = cloud.volume(), cloud.volume()
    cloud.attach(volume, A | FIRST)
    cloud.attach(other, A | FIRST)
    cloud.watch(1)
    waiting = cloud.reserve(other)
    during_ensure(cloud, monkeypatch, lambda: fence(volume, A["host"]))
    with contextlib.suppress(exception.CinderException):
        cloud.connect(other, A | LATER, waiting)
    record = cloud.driver._exports._records.of(cloud.load(other))
    assert record.export is not None
    assert Initiator(A["initiator"]) in record.export.grant_of


def test_request_that_comes_while_the_fence_has_the_lock_gets_nothing(
    cloud, fence, monkeypatch
):
    """It waits for the lock that the command has: before the command had ended."""
    volume = cloud.volume()
    cloud.attach(volume, B)
    cloud.attach(volume, A | FIRST)
    cloud.watch(1)
    waiting = cloud.reserve(volume)
    start, end = late_request(cloud, monkeypatch, volume, A | LATER, waiting)
    during_ensure(cloud, monkeypatch, start)
    done = fence(volume, A["host"])
    end()
    assert done.status == 0, done.complaints
    assert cloud.acls(volume) == {B["initiator"]}


def test_second_mark_that_cannot_be_written_is_told(cloud, fence, monkeypatch):
    """The disk is full just then; a request came between the two."""
    volume = cloud.volume()
    cloud.attach(volume, B)
    cloud.attach(volume, A | FIRST)
    cloud.watch(1)
    waiting = cloud.reserve(volume)
    start, end = late_request(cloud, monkeypatch, volume, A | LATER, waiting)
    replace, revoke, full = durable.replace, cloud.target.revoke, []

    def slow(*arguments):
        monkeypatch.setattr(cloud.target, "revoke", revoke)
        start()
        full.append(True)
        return revoke(*arguments)

    def write(path, content, **named):
        if full and str(path).endswith(".mark"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return replace(path, content, **named)

    monkeypatch.setattr(cloud.target, "revoke", slow)
    monkeypatch.setattr(durable, "replace", write)
    done = fence(volume, A["host"])
    end()
    assert done.status != 0 or cloud.acls(volume) == {B["initiator"]}


def test_fences_of_one_host_on_many_volumes_at_once_are_written(tmp_path):
    """An operator cuts a host off all its volumes, a process for each."""
    host, failed = Initiator(A["initiator"]), []
    barrier = threading.Barrier(4)

    def set_all(number):
        fences = Fences(tmp_path / "fences")
        barrier.wait()
        for turn in range(25):
            if not fences.set(f"volume-{number}-{turn}", host):
                failed.append((number, turn))

    threads = [threading.Thread(target=set_all, args=(one,)) for one in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed


def test_host_that_is_fenced_before_its_record_is_written_gets_nothing(
    cloud, fence, monkeypatch
):
    """The lock has run out, and the process stands still after its last look."""
    volume = cloud.volume()
    cloud.attach(volume, B)
    cloud.attach(volume, A | FIRST)
    cloud.watch(1)
    waiting = cloud.reserve(volume)
    records = cloud.driver._exports._records
    keep, done = records.keep, []

    def late(*arguments, **named):
        monkeypatch.setattr(records, "keep", keep)
        done.append(fence(volume, A["host"]))
        return keep(*arguments, **named)

    monkeypatch.setattr(locks, "of", lambda name_id: GoneLock())
    monkeypatch.setattr(records, "keep", late)
    with contextlib.suppress(Exception):
        cloud.connect(volume, A | LATER, waiting)
    assert done[0].status == 0, done[0].complaints
    now = cloud.acls(volume)
    cloud.pass_often()
    assert (now, cloud.acls(volume)) == ({B["initiator"]}, {B["initiator"]})


def _fence_over_under(cloud, fence, monkeypatch, first):
    """Let a fence be made and be over under the next operation; its lock runs out.

    Give the volume, an attachment that waits, the fenced session, and the command's
    outcome once there is one.
    """
    volume = cloud.volume()
    cloud.attach(volume, B)
    if first == "cinder":
        session = cloud.connect_only(cloud.load(volume), A | FIRST)
    else:
        running = cloud.attach(volume, A | FIRST)
        session = running.session
    cloud.watch(1)
    waiting = cloud.reserve(volume)
    done = []

    def call():
        done.append(fence(volume, A["host"]))
        if first == "server":
            cloud.forget(volume, running)
        # Any operation of another process does.
        cloud.driver.remove_export(cloud.context, cloud.load(volume))
        assert not cloud.driver._exports.fences.of(volume)

    monkeypatch.setattr(locks, "of", lambda name_id: GoneLock())
    during_ensure(cloud, monkeypatch, call)
    return volume, waiting, session, done


@pytest.mark.parametrize("first", ["cinder", "server"])
def test_what_a_late_attach_keeps_is_not_older_than_the_fence(
    cloud, fence, monkeypatch, first
):
    """The fence is over when the attach goes on, whose lock has run out."""
    volume, waiting, session, done = _fence_over_under(cloud, fence, monkeypatch, first)
    said = None
    try:
        cloud.connect(volume, A | LATER, waiting)
    except Exception as error:
        said = error
    assert done[0].status == 0, done[0].complaints
    assert not session.alive
    now = cloud.acls(volume)
    cloud.reconcile()
    then = cloud.acls(volume)
    cloud.pass_often()
    assert (now, then, cloud.acls(volume)) == ({B["initiator"]},) * 3, said


@pytest.mark.parametrize("who", ["pass", "other host"])
@pytest.mark.parametrize("first", ["cinder", "server"])
def test_fence_that_is_over_keeps_out_who_a_late_operation_lets_in(
    cloud, fence, monkeypatch, who, first
):
    """The lock has run out under an operation that is not the host's own."""
    volume, waiting, session, done = _fence_over_under(cloud, fence, monkeypatch, first)
    if who == "pass":
        cloud.reconcile()
    else:
        cloud.connect(volume, B | LATER, waiting)
    assert done[0].status == 0, done[0].complaints
    assert not session.alive
    now = cloud.acls(volume)
    cloud.reconcile()
    then = cloud.acls(volume)
    cloud.pass_often()
    assert (now, then, cloud.acls(volume)) == ({B["initiator"]},) * 3


def test_mark_that_cannot_be_read_for_a_moment_cuts_nobody_off(
    cloud, fence, monkeypatch
):
    """The host was fenced off another volume, long ago; no descriptor is left."""
    long_ago, volume = cloud.volume(), cloud.volume()
    cloud.attach(long_ago, A | FIRST)
    assert fence(long_ago, A["host"]).status == 0
    running = cloud.attach(volume, A | FIRST)
    cloud.watch(1)
    waiting = cloud.reserve(volume)
    read = Path.read_bytes

    def fails(path):
        if str(path).endswith(".mark"):
            monkeypatch.setattr(Path, "read_bytes", read)
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return read(path)

    during_ensure(
        cloud, monkeypatch, lambda: monkeypatch.setattr(Path, "read_bytes", fails)
    )
    with contextlib.suppress(exception.CinderException):
        cloud.connect(volume, A | LATER, waiting)
    assert running.session.alive


def test_mark_that_cannot_be_read_at_all_is_told(
    cloud, fence, meanwhile, monkeypatch, log
):
    volume = cloud.volume()
    cloud.attach(volume, B)
    cloud.attach(volume, A | FIRST)
    cloud.watch(1)
    waiting = cloud.reserve(volume)
    read = Path.read_bytes

    def fails(path):
        if str(path).endswith(".mark"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", fails)
    done = []
    meanwhile(lambda: done.append(fence(volume, A["host"])))
    with contextlib.suppress(exception.CinderException):
        cloud.connect(volume, A | LATER, waiting)
    assert done[0].status == 0
    assert cloud.acls(volume) == {B["initiator"]} or "cannot be read" in log.text


def test_request_that_waits_in_create_export_gets_nothing(cloud, fence, monkeypatch):
    """The first one after a start reads the service's row for a volume without one."""
    volume = cloud.volume(multiattach=True)
    cloud.attach(volume, B)
    cloud.attach(volume, A | FIRST)
    cloud.watch(1)
    waiting = cloud.reserve(volume)
    cloud.driver.__dict__.pop("_service_uuid", None)  # as after a start
    row = cloud.load(volume)
    row.service_uuid = None
    row.save()
    service, done = database.service_uuid, []

    def hangs(*arguments):
        monkeypatch.setattr(database, "service_uuid", service)
        done.append(fence(volume, A["host"]))
        return service(*arguments)

    monkeypatch.setattr(database, "service_uuid", hangs)
    with pytest.raises(exception.CinderException, match="while the request waited"):
        cloud.connect(volume, A | LATER, waiting)
    assert done[0].status == 0, done[0].complaints
    assert cloud.acls(volume) == {B["initiator"]}


def test_own_connection_of_the_node_on_another_volume(cloud, fence, monkeypatch):
    """A backup runs on the host, and reads another volume."""
    volume, other = cloud.volume(), cloud.volume()
    cloud.attach(volume, A | FIRST)
    backup = cloud.connect_only(cloud.load(other), A)
    cloud.watch(1)
    waiting = cloud.reserve(other)
    during_ensure(cloud, monkeypatch, lambda: fence(volume, A["host"]))
    with contextlib.suppress(exception.CinderException):
        cloud.connect(other, A | LATER, waiting)
    assert backup.alive


def test_new_attachment_of_the_fenced_volume_keeps_its_session(
    cloud, fence, monkeypatch
):
    """It is let in by a new attachment; another fence, elsewhere, comes."""
    volume, other = cloud.volume(), cloud.volume()
    cloud.attach(volume, A | FIRST)
    cloud.attach(other, A | FIRST)
    assert fence(volume, A["host"]).status == 0
    running = cloud.attach(volume, A | FIRST)
    cloud.watch(1)
    waiting = cloud.reserve(volume)
    during_ensure(cloud, monkeypatch, lambda: fence(other, A["host"]))
    with contextlib.suppress(exception.CinderException):
        cloud.connect(volume, A | LATER, waiting)
    assert running.session.alive


def test_blind_fence_and_request_that_comes_while_it_has_the_lock(
    cloud, fence, monkeypatch, down
):
    volume = cloud.volume()
    cloud.attach(volume, B)
    cloud.attach(volume, A | FIRST)
    cloud.watch(1)
    waiting = cloud.reserve(volume)
    start, end = late_request(cloud, monkeypatch, volume, A | LATER, waiting)
    look = type(cloud.driver._exports).look_without_rows

    def late(self, row):
        down(False)
        start()
        down(True)
        return look(self, row)

    monkeypatch.setattr(type(cloud.driver._exports), "look_without_rows", late)
    down(True)
    done = fence(volume, A["host"])
    down(False)
    end()
    assert done.status == 0, done.complaints
    assert cloud.acls(volume) == {B["initiator"]}
