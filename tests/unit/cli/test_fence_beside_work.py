# SPDX-License-Identifier: Apache-2.0
"""A fence and what others do to the volume at that time, under a lock that holds."""

import contextlib
import errno
import os
import shutil
import threading
import time

import pytest
from cinder import exception

from taikun_cinder import locks
from taikun_cinder.access.model import Initiator
from taikun_cinder.cinder_db import models
from taikun_cinder.exception import StepUnfinished, TargetBusy
from taikun_cinder.fences import Fences
from taikun_cinder.privsep import turns
from tests.unit.cli.conftest import GoneLock, backend_of
from tests.unit.cli.overtaking import during_ensure
from tests.unit.cloud import A, B, Host, lose

FIRST, LATER = {"mountpoint": "/dev/vdb"}, {"mountpoint": "/dev/vdc"}
C = Host("compute3").connector
TWO = A | {"initiator": "iqn.2026-11.com.example:compute1-second"}


def _being_made(cloud, monkeypatch, volume, revokes):
    """Do what the command does first, and let the kernel not come back from it."""
    cloud.driver._exports.fences.set(volume, Initiator(A["initiator"]))
    monkeypatch.setattr(cloud.target, "revoke", revokes)


def _unfinished(name, *_more):
    raise StepUnfinished(target=name, step="x", cause="no answer in 30 s")


def _busy(name, *_more):
    raise TargetBusy(target=name, cause="the disk hangs")


def test_other_host_goes_on_though_the_fenced_ones_end_hangs(cloud, monkeypatch):
    """'All other hosts go on'; the request has let nobody in that is fenced."""
    volume = cloud.volume()
    cloud.attach(volume, A | FIRST)
    cloud.watch(1)
    waiting = cloud.reserve(volume)
    during_ensure(
        cloud, monkeypatch, lambda: _being_made(cloud, monkeypatch, volume, _unfinished)
    )
    assert cloud.connect(volume, B | LATER, waiting).session.alive


def test_other_hosts_detach_is_done_though_the_fenced_ones_end_hangs(
    cloud, monkeypatch
):
    volume = cloud.volume()
    cloud.attach(volume, A | FIRST)
    leaves = cloud.attach(volume, B)
    cloud.watch(1)
    cloud.log_out(leaves)
    during_ensure(
        cloud, monkeypatch, lambda: _being_made(cloud, monkeypatch, volume, _unfinished)
    )
    with contextlib.suppress(exception.CinderException):
        cloud.terminate(volume, leaves)
    # What a reboot goes by.
    assert (
        Initiator(B["initiator"])
        not in cloud.driver._exports._records.read(volume).export.grant_of
    )


def test_error_of_the_change_is_told_though_the_fenced_ones_end_fails(
    cloud, monkeypatch
):
    """What was done before the step that failed stays; 'Nothing was changed' lies."""
    volume = cloud.volume()
    cloud.attach(volume, A | FIRST)
    cloud.watch(1)
    waiting = cloud.reserve(volume)

    def fails(name, *_more, **_named):
        _being_made(cloud, monkeypatch, volume, _busy)
        raise StepUnfinished(target=name, step="x", cause="no answer in 30 s")

    monkeypatch.setattr(cloud.target, "ensure", fails)
    with pytest.raises(exception.CinderException) as told:
        cloud.connect(volume, B | LATER, waiting)
    assert "Nothing was changed" not in str(told.value)


def test_fence_that_cannot_be_written_down_is_told_once(cloud, fence, monkeypatch):
    volume = cloud.volume()
    cloud.attach(volume, B)
    cloud.attach(volume, A | FIRST)
    cloud.watch(1)
    fences = cloud.driver._exports.fences
    fences._folder.parent.mkdir(exist_ok=True)
    monkeypatch.setattr("taikun_cinder.fences._written", lambda *_more: False)
    done = fence(volume, A["host"])
    assert done.status == 1
    assert done.complaints.count("written down") == 1, done.complaints


def test_fence_that_cannot_be_written_down_keeps_out_until_the_next_pass(cloud, fence):
    """'the next reconcile lets the host in again. It is cut off all the same'."""
    volume = cloud.volume()
    cloud.attach(volume, B)
    cloud.attach(volume, A | FIRST)
    cloud.watch(1)
    folder = cloud.driver._exports.fences._folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.write_text("in the way")
    done = fence(volume, A["host"])
    assert done.status == 1
    assert "is cut off all the same" in done.complaints
    assert "a new attachment was made" not in done.complaints, done.complaints
    assert cloud.acls(volume) == {B["initiator"]}


def test_full_disk_leaves_no_draft_and_the_host_out(cloud, fence, monkeypatch):
    """Leaves no draft, and the host keeps nothing by it."""
    volume = cloud.volume()
    cloud.attach(volume, A | FIRST)
    cloud.attach(volume, B)
    cloud.watch(1)
    fsync = os.fsync

    def full(fd):
        if "/fences/" in os.readlink(f"/proc/self/fd/{fd}"):
            raise OSError(errno.ENOSPC, "full")
        return fsync(fd)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        done = fence(volume, A["host"])
    assert done.status == 1
    folder = cloud.driver._exports.fences._folder / volume
    assert not list(folder.glob("*.new"))
    assert cloud.acls(volume) == {B["initiator"]}, done.complaints


def test_host_that_waits_is_counted_once_though_it_is_tried_again(
    cloud, fence, monkeypatch
):
    """The copy of a migration, whose own connection is tried again."""
    volume = cloud.volume()
    cloud.attach(volume, B)
    exports = cloud.driver._exports
    row = cloud.load(volume)
    exports.migrations.begin_copy(row)
    records = exports._records
    keep, done = records.keep, []

    def stands_still(*arguments, **named):
        monkeypatch.setattr(records, "keep", keep)
        keep(*arguments, **named)
        done.append(fence(volume, B["host"]))

    monkeypatch.setattr(locks, "of", lambda name_id: GoneLock())
    monkeypatch.setattr(records, "keep", stands_still)
    cloud.connect_only(row, A)
    assert done[0].status == 0, done[0].complaints
    assert exports.migrations.end_copy(row) == 1


def test_volume_deleted_while_its_fence_waits_leaves_nothing(cloud, fence, monkeypatch):
    volume = cloud.volume()
    old = cloud.attach(volume, A | FIRST)
    cloud.watch(1)
    tried = locks.tried

    @contextlib.contextmanager
    def late(row, patience):
        cloud.detach(volume, old)
        cloud.manager.delete_volume(cloud.context, cloud.load(volume))
        with tried(row, patience) as has_lock:
            yield has_lock

    monkeypatch.setattr(locks, "tried", late)
    fence(volume, A["host"])
    monkeypatch.setattr(locks, "tried", tried)
    cloud.reconcile()
    assert cloud.driver._exports.fences.volumes() == []


@pytest.mark.parametrize("how", [KeyboardInterrupt, RuntimeError, TargetBusy])
def test_command_that_is_broken_off_keeps_the_host_out(cloud, fence, monkeypatch, how):
    volume = cloud.volume()
    cloud.attach(volume, B)
    cloud.attach(volume, A | FIRST)
    cloud.watch(1)
    fences = cloud.driver._exports.fences

    def fails(name, *_more, **_named):
        raise how(target=name, cause="x") if how is TargetBusy else how("x")

    with monkeypatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
        patch.setattr(cloud.target, "ensure", fails)
        done = fence(volume, A["host"])
        assert done.status == (130 if how is KeyboardInterrupt else 1)
    assert fences.marks(volume)
    cloud.reconcile()
    cloud.pass_often()
    assert cloud.acls(volume) == {B["initiator"]}
    lifted = fence(volume, A["host"], "--lift")
    assert lifted.status == 0
    assert cloud.acls(volume) == {A["initiator"], B["initiator"]}


def test_second_initiator_is_remembered_though_the_firsts_fails(
    cloud, fence, monkeypatch
):
    volume = cloud.volume()
    cloud.attach(volume, B)
    cloud.attach(volume, A | FIRST)
    cloud.attach(volume, TWO | FIRST)
    cloud.watch(1)
    ensure = cloud.target.ensure

    def fails(name, *_more, **_named):
        monkeypatch.setattr(cloud.target, "ensure", ensure)
        raise TargetBusy(target=name, cause="x")

    monkeypatch.setattr(cloud.target, "ensure", fails)
    done = fence(volume, A["host"])
    assert done.status == 1
    assert cloud.acls(volume) == {B["initiator"]}


def test_fence_of_one_host_is_done_though_another_hosts_end_hangs(
    cloud, fence, monkeypatch
):
    """An operator cuts two hosts off at once, by two commands."""
    volume = cloud.volume()
    cloud.attach(volume, A | FIRST)
    cloud.attach(volume, B)
    cloud.attach(volume, C)
    cloud.watch(1)
    during_ensure(
        cloud, monkeypatch, lambda: _being_made(cloud, monkeypatch, volume, _unfinished)
    )
    done = fence(volume, B["host"])
    assert done.status == 0, done.complaints


def test_volume_without_a_device_keeps_nobody_who_was_cut_off(cloud, monkeypatch):
    """A reboot goes by the record, and must not let in who was cut off."""
    volume = cloud.volume()
    cloud.attach(volume, A | FIRST)
    leaves = cloud.attach(volume, B)
    cloud.watch(1)
    cloud.log_out(leaves)
    cloud.forget(volume, leaves)

    def gone(_volume):
        raise RuntimeError("lvchange failed")

    monkeypatch.setattr(cloud.driver._exports.enforcement, "_activate", gone)
    during_ensure(
        cloud, monkeypatch, lambda: _being_made(cloud, monkeypatch, volume, _busy)
    )
    cloud.reconcile()
    assert (
        Initiator(B["initiator"])
        not in cloud.driver._exports._records.read(volume).export.grant_of
    )


def test_audit_tells_other_orphans_though_ones_fences_cannot_be_read(
    cloud, command, monkeypatch
):
    names = []
    for _ in range(3):
        volume = cloud.volume()
        cloud.attach(volume, A)
        names.append(volume)
    cloud.watch(1)
    for volume in names:
        cloud.lose_rows(volume)
        lose(cloud.load(volume), table=models.Volume)
    listdir = os.listdir

    def fails(path="."):
        if str(path).endswith(f"/fences/{names[1]}"):
            raise PermissionError(13, "denied", str(path))
        return listdir(path)

    monkeypatch.setattr(os, "listdir", fails)
    done = command("audit", found=[backend_of(cloud)])
    assert names[0] in done.out + done.complaints
    assert names[2] in done.out + done.complaints


class _Turns:
    """A kernel that needs a second to end a session; see ``privsep.turns``."""

    def __init__(self, revoke):
        self.revoke, self.turn = revoke, threading.Lock()
        self.begun = threading.Event()

    def __call__(self, name, initiator):
        if not self.turn.acquire(timeout=turns.PATIENCE):
            raise TargetBusy(target=name, cause="another call is under way")
        try:
            self.begun.set()
            time.sleep(2 * turns.PATIENCE)
            return self.revoke(name, initiator)
        finally:
            self.turn.release()


@pytest.mark.parametrize("first", ["the command", "the attach"])
def test_fence_and_attach_of_another_host_at_once_are_both_done(
    cloud, fence, monkeypatch, first
):
    """The lock is held, and the disk is slow to end the session, no more."""
    volume = cloud.volume()
    cloud.attach(volume, A | FIRST)
    cloud.watch(1)
    waiting = cloud.reserve(volume)
    slow = _Turns(cloud.target.revoke)
    arrived, go, failed = threading.Event(), threading.Event(), []

    def stands_still():
        arrived.set()
        assert go.wait(20)

    def connect():
        try:
            cloud.connect(volume, B | LATER, waiting)
        except Exception as error:
            failed.append(error)

    during_ensure(cloud, monkeypatch, stands_still)
    thread = threading.Thread(target=connect)
    thread.start()
    assert arrived.wait(20)
    if first == "the attach":
        set_ = Fences.set

        def set_first(*arguments):
            done = set_(*arguments)
            if not go.is_set():
                go.set()
                assert slow.begun.wait(20)
            return done

        monkeypatch.setattr(Fences, "set", set_first)
        monkeypatch.setattr(cloud.target, "revoke", slow)
        done = fence(volume, A["host"])
    else:
        monkeypatch.setattr(cloud.target, "revoke", slow)
        revoke = slow.revoke

        def begins(*arguments):
            slow.revoke = revoke
            go.set()
            time.sleep(2 * turns.PATIENCE)
            return revoke(*arguments)

        slow.revoke = begins
        done = fence(volume, A["host"])
    thread.join()
    assert (done.status, failed) == (0, []), done.complaints


def test_command_lets_a_target_be_that_stays_busy_between_two_tries(
    cloud, fence, monkeypatch
):
    """One that has been busy for long says so at once."""
    volume = cloud.volume()
    cloud.attach(volume, A | FIRST)
    tries = []

    def busy(name, *_more):
        tries.append(name)
        raise TargetBusy(target=name, cause="the disk hangs")

    monkeypatch.setattr("taikun_cinder.cli.fence._BUSY", 0.5)
    with monkeypatch.context() as patch:
        patch.setattr(cloud.target, "revoke", busy)
        done = fence(volume, A["host"])
    assert done.status == 1
    assert "may have access still" in done.complaints
    assert 1 < len(tries) < 10
