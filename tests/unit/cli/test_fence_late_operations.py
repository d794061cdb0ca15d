# SPDX-License-Identifier: Apache-2.0
"""A fence and operations that looked at the volume before it, and go on after it."""

import contextlib
import errno
import os
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cinder import exception

from taikun_cinder import locks
from taikun_cinder.cinder_db import models
from taikun_cinder.exception import StepUnfinished
from tests.contract.memory import LoginRefusedError
from tests.unit.cli.conftest import GoneLock
from tests.unit.cli.overtaking import after_look, late_request
from tests.unit.cloud import A, B, spoil

FIRST, LATER = {"mountpoint": "/dev/vdb"}, {"mountpoint": "/dev/vdc"}
TWO = A | {"initiator": "iqn.2026-11.com.example:compute1-second"}


@pytest.mark.parametrize("who", ["pass", "other host", "detach"])
@pytest.mark.parametrize("gone", [True, False], ids=["late", "in time"])
def test_late_operation_deletes_no_newer_fence(cloud, fence, monkeypatch, who, gone):
    """An older fence of the host is over, and the operation forgets it late."""
    volume = cloud.volume()
    leaves = cloud.attach(volume, B)
    cloud.attach(volume, B | LATER)
    old = cloud.attach(volume, A | FIRST)
    assert fence(volume, A["host"]).status == 0
    new = cloud.attach(volume, A | LATER)
    cloud.watch(1)
    waiting = cloud.reserve(volume)
    cloud.forget(volume, old)
    done = []
    if gone:
        monkeypatch.setattr(locks, "of", lambda name_id: GoneLock())
        after_look(cloud, monkeypatch, lambda: done.append(fence(volume, A["host"])))
    else:
        done.append(fence(volume, A["host"]))
    with contextlib.suppress(exception.CinderException):
        if who == "pass":
            cloud.reconcile()
        elif who == "other host":
            cloud.connect(volume, B | {"mountpoint": "/dev/vdx"}, waiting)
        else:
            cloud.detach(volume, leaves)
    assert done[0].status == 0, done[0].complaints
    assert not new.session.alive
    now = cloud.acls(volume)
    cloud.reconcile()
    then = cloud.acls(volume)
    cloud.pass_often()
    assert (now, then, cloud.acls(volume)) == ({B["initiator"]},) * 3


def test_operation_that_has_its_lock_deletes_no_fence_being_made(
    cloud, fence, monkeypatch
):
    """The command does not get the lock in time, and says so; its fence is written."""
    monkeypatch.setattr("taikun_cinder.cli.fence._PATIENCE", 0.2)
    volume = cloud.volume()
    cloud.attach(volume, B)
    old = cloud.attach(volume, A | FIRST)
    assert fence(volume, A["host"]).status == 0
    cloud.attach(volume, A | LATER)
    cloud.watch(1)
    cloud.forget(volume, old)
    done = []
    after_look(cloud, monkeypatch, lambda: done.append(fence(volume, A["host"])))
    cloud.reconcile()
    assert done[0].status == 1
    assert "has been under way" in done[0].complaints
    now = cloud.acls(volume)
    cloud.pass_often()
    assert (now, cloud.acls(volume)) == ({B["initiator"]},) * 2


def test_late_operation_writes_over_no_newer_fence(cloud, fence, monkeypatch, down):
    """The older fence was made blindly, and the operation settles it late."""
    volume = cloud.volume()
    cloud.attach(volume, B)
    cloud.attach(volume, A | FIRST)
    cloud.watch(1)
    down(True)
    assert fence(volume, A["host"]).status == 0
    down(False)
    done: list[Any] = []

    def call():
        # Others settle it, and let the host in anew; it is fenced once more then.
        cloud.attach(volume, A | LATER)
        cloud.watch(1)
        done.append(fence(volume, A["host"]))

    monkeypatch.setattr(locks, "of", lambda name_id: GoneLock())
    after_look(cloud, monkeypatch, call)
    cloud.reconcile()
    assert done[0].status == 0, done[0].complaints
    now = cloud.acls(volume)
    cloud.reconcile()
    then = cloud.acls(volume)
    cloud.pass_often()
    assert (now, then, cloud.acls(volume)) == ({B["initiator"]},) * 3


@pytest.mark.parametrize("late", [False, True])
def test_late_operation_brings_no_lifted_fence_back(
    cloud, fence, monkeypatch, down, late
):
    volume = cloud.volume()
    cloud.attach(volume, B)
    cloud.attach(volume, A | FIRST)
    cloud.watch(1)
    down(True)
    assert fence(volume, A["host"]).status == 0
    down(False)
    done = []
    monkeypatch.setattr(locks, "of", lambda name_id: GoneLock())
    lift = partial(fence, volume, A["host"], "--lift")
    if late:
        after_look(cloud, monkeypatch, lambda: done.append(lift()))
    else:
        done.append(lift())
    cloud.reconcile()
    assert done[0].status == 0, done[0].complaints
    cloud.pass_often()
    assert cloud.acls(volume) == {A["initiator"], B["initiator"]}


@pytest.mark.parametrize("late", [False, True])
def test_late_orphan_pass_lets_no_fenced_host_in(cloud, fence, monkeypatch, late):
    """The back end was renamed; its lock runs out in the pass that ends one host."""
    volume = cloud.volume()
    cloud.attach(volume, A | FIRST)
    leaves = cloud.attach(volume, B)
    cloud.watch(1)
    row = cloud.load(volume)
    spoil(row, models.Volume, host="node@renamed#pool")
    cloud.log_out(leaves)
    cloud.forget(volume, leaves)
    ensure, done = cloud.target.ensure, []

    def stands_still(*arguments, **named):
        monkeypatch.setattr(cloud.target, "ensure", ensure)
        done.append(fence(volume, A["host"]))
        return ensure(*arguments, **named)

    monkeypatch.setattr(locks, "of", lambda name_id: GoneLock())
    if late:
        monkeypatch.setattr(cloud.target, "ensure", stands_still)
    else:
        done.append(fence(volume, A["host"]))
    cloud.reconcile()
    assert done[0].status == 0, done[0].complaints
    now = cloud.acls(volume)
    cloud.pass_often()
    both = {*(now or ())}, {*(cloud.acls(volume) or ())}
    assert not any(A["initiator"] in one for one in both), both


def _counted(cloud, outcome):
    """Give the line that counts the attaches of an outcome."""
    text = cloud.driver._monitor._metrics.text()
    text = text.decode() if isinstance(text, bytes) else text
    (line,) = [
        one
        for one in text.splitlines()
        if one.startswith("taikun_cinder_attaches_total") and outcome in one
    ]
    return line


def test_unreadable_fences_are_counted(cloud, monkeypatch):
    volume = cloud.volume()
    cloud.attach(volume, B)
    cloud.watch(1)
    waiting = cloud.reserve(volume)
    listdir = os.listdir

    def fails(path="."):
        if "/fences/" in str(path):
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return listdir(path)

    monkeypatch.setattr(os, "listdir", fails)
    with pytest.raises(exception.CinderException, match="cut off"):
        cloud.connect(volume, A, waiting)
    monkeypatch.setattr(os, "listdir", listdir)
    assert _counted(cloud, "fences_unreadable").endswith(" 1.0")


def test_damaged_row_is_counted(cloud):
    volume = cloud.volume()
    waiting = cloud.reserve(volume)
    spoil(cloud.load(volume), models.Volume, _name_id="no id")
    with pytest.raises(exception.CinderException, match="name_id"):
        cloud.connect(volume, A, waiting)
    assert _counted(cloud, "row_damaged").endswith(" 1.0")


def test_fences_that_cannot_be_read_at_the_end_let_nobody_in(cloud, fence, monkeypatch):
    """The message says that nobody else gets any access."""
    volume = cloud.volume()
    cloud.attach(volume, B)
    running = cloud.attach(volume, A | FIRST)
    cloud.watch(1)
    assert fence(volume, A["host"]).status == 0
    waiting = cloud.reserve(volume)
    ensure, listdir = cloud.target.ensure, os.listdir

    def fails(path="."):
        if "/fences/" in str(path):
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return listdir(path)

    def breaks(*arguments, **named):
        monkeypatch.setattr(os, "listdir", fails)
        return ensure(*arguments, **named)

    monkeypatch.setattr(cloud.target, "ensure", breaks)
    with pytest.raises(exception.CinderException, match="nobody else gets any"):
        cloud.connect(volume, A | LATER, waiting)
    with pytest.raises(LoginRefusedError):  # what its initiator goes on trying
        cloud.target.log_in(cloud.load(volume), A, running.information)
    now = cloud.acls(volume)
    cloud.pass_often()
    assert (now, cloud.acls(volume)) == ({B["initiator"]},) * 2


def test_request_while_the_second_initiator_is_cut_off_gets_nothing(
    cloud, fence, monkeypatch
):
    """The host has two; the request of the first waits for the command's lock."""
    volume = cloud.volume()
    cloud.attach(volume, B)
    cloud.attach(volume, A | FIRST)
    cloud.attach(volume, TWO | FIRST)
    cloud.watch(1)
    waiting = cloud.reserve(volume)
    start, end = late_request(cloud, monkeypatch, volume, A | LATER, waiting)
    ensure, calls = cloud.target.ensure, []

    def stands_still(*arguments, **named):
        calls.append(arguments)
        if len(calls) == 2:
            monkeypatch.setattr(cloud.target, "ensure", ensure)
            start()
        return ensure(*arguments, **named)

    monkeypatch.setattr(cloud.target, "ensure", stands_still)
    done = fence(volume, A["host"])
    end()
    assert done.status == 0, done.complaints
    assert cloud.acls(volume) == {B["initiator"]}


@pytest.mark.parametrize("late", [False, True])
def test_request_that_is_tried_again_is_no_second_server(
    cloud, fence, monkeypatch, late
):
    """Its lock ran out after its record was written; a reader was fenced then."""
    volume = cloud.volume(**cloud.volume_type(secondary_mode="ro"))
    cloud.attach(volume, A | {"mode": "ro"}, "ro")
    cloud.watch(1)
    waiting, _another = cloud.reserve(volume, "rw"), cloud.reserve(volume, "rw")
    records = cloud.driver._exports._records
    keep, done = records.keep, []

    def stands_still(*arguments, **named):
        monkeypatch.setattr(records, "keep", keep)
        keep(*arguments, **named)
        done.append(fence(volume, A["host"]))

    monkeypatch.setattr(locks, "of", lambda name_id: GoneLock())
    if late:
        monkeypatch.setattr(records, "keep", stands_still)
    else:
        done.append(fence(volume, A["host"]))
    got = cloud.connect(volume, B | {"mode": "rw"}, waiting)
    assert done[0].status == 0, done[0].complaints
    cloud.watch(2)
    assert got.writes()


def test_ensure_that_fails_half_way_leaves_no_fenced_host(cloud, fence, monkeypatch):
    volume = cloud.volume()
    cloud.attach(volume, B)
    cloud.attach(volume, A | FIRST)
    cloud.watch(1)
    ensure, done = cloud.target.ensure, []
    monkeypatch.setattr(locks, "of", lambda name_id: GoneLock())

    def stands_still(*arguments, **named):
        monkeypatch.setattr(cloud.target, "ensure", ensure)
        done.append(fence(volume, A["host"]))
        ensure(*arguments, **named)
        raise StepUnfinished(step="x", seconds=30, target="x", cause="", volume=volume)

    monkeypatch.setattr(cloud.target, "ensure", stands_still)
    with contextlib.suppress(Exception):
        cloud.reconcile()
    assert done[0].status == 0
    assert cloud.acls(volume) == {B["initiator"]}


def test_mark_that_vanishes_ends_nobody(cloud, fence, monkeypatch):
    """The folder is restored from a backup meanwhile; the lock is held all the time."""
    volume = cloud.volume()
    old = cloud.attach(volume, A | FIRST)
    assert fence(volume, A["host"]).status == 0
    cloud.forget(volume, old)
    cloud.reconcile()
    backup = cloud.connect_only(cloud.load(volume), A)
    assert not cloud.driver._exports.fences.of(volume)
    waiting = cloud.reserve(volume)
    ensure = cloud.target.ensure
    folder = cloud.driver._exports.fences._folder / volume

    def stands_still(*arguments, **named):
        monkeypatch.setattr(cloud.target, "ensure", ensure)
        shutil.rmtree(folder)
        return ensure(*arguments, **named)

    monkeypatch.setattr(cloud.target, "ensure", stands_still)
    assert cloud.connect(volume, B, waiting).session.alive
    assert backup.alive


def test_fence_is_written_though_another_hosts_cannot_be_read(
    cloud, fence, monkeypatch
):
    volume = cloud.volume()
    cloud.attach(volume, B)
    cloud.attach(volume, A)
    cloud.watch(1)
    assert fence(volume, B["host"]).status == 0
    (bad,) = (cloud.driver._exports.fences._folder / volume).glob("*.json")
    read = Path.read_bytes

    def fails(path):
        if path == bad:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return read(path)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", fails)
        done = fence(volume, A["initiator"])
    cloud.reconcile()
    assert not cloud.acls(volume), done.complaints
    assert "written down" not in done.complaints
