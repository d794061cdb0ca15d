# SPDX-License-Identifier: Apache-2.0
"""A fence holds wherever it is interrupted, and whatever goes wrong beside it."""

import contextlib
import json
import os
from pathlib import Path

import pytest
from cinder import exception

from taikun_cinder.access.model import Initiator
from taikun_cinder.cinder_db import api as db
from taikun_cinder.cinder_db import models
from taikun_cinder.cli.restore import Restore
from taikun_cinder.exception import RecordNotWritten, TargetBusy, VolumeHeld
from taikun_cinder.fences import Fences
from taikun_cinder.targets.lio.states import LioState
from tests.contract.memory import LoginRefusedError
from tests.unit.cli.conftest import Unheard, backend_of
from tests.unit.cloud import A, B, move

HOSTS = [Initiator(host["initiator"]) for host in (A, B)]


class KilledError(BaseException):
    """The process is gone."""


def _kill(*_arguments, **_more):
    raise KilledError


def _busy(name, *_more, **_other):
    raise TargetBusy(target=name, cause="the disk hangs")


def _full(_self, volume_id, _record):
    raise RecordNotWritten(volume=volume_id, path="it", cause="full", cure="")


#: Where the command, or what it asks for, is interrupted.
STEPS = {
    "before the target": ("target.revoke", _kill),
    "before the rows are read": ("taikun_cinder.database.rows_of", _kill),
    "before the record": ("taikun_cinder.records.Records.keep", _kill),
    "the target is busy": ("target.ensure", _busy),
    "the record cannot be written": ("taikun_cinder.records.Records.save", _full),
}


@pytest.fixture
def interrupted(cloud, command, monkeypatch):
    """Return a function that fences a host, and is interrupted at a step."""

    def fence(volume, step):
        place, instead = STEPS[step]
        with monkeypatch.context() as patch, contextlib.suppress(KilledError):
            if place.startswith("target."):
                patch.setattr(cloud.target, place.removeprefix("target."), instead)
            else:
                patch.setattr(place, instead)
            command("fence", volume, A["host"], found=[backend_of(cloud)])

    return fence


def _boot(cloud):
    """Boot the node, and restore its exports without a database."""
    for name in cloud.target.names(""):
        cloud.target.kernel.put(LioState(name))
    backend = backend_of(cloud)

    class Locks:
        started = False

        def start(self):
            """Give none: nobody else runs."""

        stop = start

    assert Restore(print, Locks()).run(backend.records, [backend])


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("boots", [False, True])
def test_host_with_an_attachment_stays_out(cloud, interrupted, step, boots):
    volume = cloud.volume()
    cloud.attach(volume, A)
    other = cloud.attach(volume, B)
    interrupted(volume, step)
    if boots:
        _boot(cloud)
    else:
        cloud.reconcile()
        assert other.session.alive
    assert cloud.acls(volume) == {B["initiator"]}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("boots", [False, True])
def test_host_that_cinder_connects_for_itself_stays_out(
    cloud, interrupted, step, boots
):
    """No attachment stands for it, so only the record knows what is to be ended."""
    volume = cloud.volume()
    cloud.attach(volume, B)
    cloud.connect_only(cloud.load(volume), A)
    interrupted(volume, step)
    if boots:
        _boot(cloud)
        assert cloud.acls(volume) == {B["initiator"]}
    cloud.reconcile()
    assert cloud.acls(volume) == {B["initiator"]}


@pytest.mark.parametrize("boots", [False, True])
def test_new_attachment_keeps_its_disk_though_the_fence_is_there(cloud, fence, boots):
    volume = cloud.volume()
    cloud.attach(volume, A)
    assert fence(volume, A["host"]).status == 0
    new = cloud.attach(volume, A)
    if boots:
        _boot(cloud)
    else:
        cloud.pass_often()
        assert new.session.alive
    assert cloud.acls(volume) == {A["initiator"]}


def test_new_attachment_that_is_only_missing_is_left_to_the_brake(cloud, fence):
    volume, elsewhere = cloud.volume(), cloud.volume()
    cloud.attach(volume, A)
    fence(volume, A["host"])
    new = cloud.attach(volume, A)
    cloud.reconcile()
    move(new, elsewhere)
    cloud.reconcile()
    assert new.session.alive


def test_refused_request_settles_a_fence_and_lets_nobody_in_again(cloud, fence, down):
    volume = cloud.volume()
    cloud.attach(volume, B)
    cloud.connect_only(cloud.load(volume), A)
    down(True)
    assert fence(volume, A["host"]).status == 0
    down(False)
    with pytest.raises(VolumeHeld):
        cloud.driver.delete_volume(cloud.load(volume))
    cloud.reconcile()
    assert cloud.acls(volume) == {B["initiator"]}


def test_brake_holds_no_fence_back(cloud, interrupted):
    volume, elsewhere = cloud.volume(), cloud.volume()
    attached = cloud.attach(volume, A)
    cloud.attach(volume, B)
    cloud.reconcile()
    move(attached, elsewhere)
    interrupted(volume, "before the target")
    cloud.reconcile()
    assert cloud.acls(volume) == {B["initiator"]}


def test_row_that_cannot_be_read_holds_no_fence_back(cloud, interrupted):
    volume = cloud.volume()
    attached = cloud.attach(volume, A)
    cloud.attach(volume, B)
    cloud.reconcile()
    loaded = cloud.load(volume)
    with db.main_context_manager.writer.using(cloud.context) as session:
        rows = session.query(models.VolumeAttachment).filter_by(id=attached.id)
        rows.update({"connector": "{"})
    interrupted(volume, "before the target")
    cloud.reconcile()
    assert cloud.target.acls_of(loaded) == {B["initiator"]}


def test_second_fence_forgets_nothing_of_the_first(cloud, fence):
    volume, elsewhere = cloud.volume(), cloud.volume()
    attached = cloud.attach(volume, A)
    cloud.attach(volume, B)
    fence(volume, A["host"])
    move(attached, elsewhere)
    cloud.reconcile()
    fence(volume, A["host"])
    cloud.reconcile()
    move(attached, volume)
    cloud.pass_often()
    assert cloud.acls(volume) == {B["initiator"]}


def test_volume_with_an_attachment_is_not_deleted_though_its_host_is_fenced(
    cloud, fence
):
    volume = cloud.volume()
    cloud.attach(volume, A)
    fence(volume, A["host"])
    with pytest.raises(VolumeHeld):
        cloud.driver.delete_volume(cloud.load(volume))


@pytest.mark.parametrize("reserved", [True, False])
def test_old_api_lets_the_host_in_when_its_attachment_is_gone(cloud, fence, reserved):
    volume = cloud.volume()
    attached = cloud.os_attach(volume, A, reserves=reserved)
    assert fence(volume, A["host"]).status == 0
    with pytest.raises(exception.CinderException):
        cloud.connect_only(cloud.load(volume), A)
    cloud.pass_often()
    assert not cloud.acls(volume)
    cloud.os_detach(volume, attached)
    assert cloud.os_attach(volume, A).session.alive


def test_fenced_attachment_taken_for_a_reserved_one_ends_at_once(cloud, fence):
    """The driver does not learn which one a request is for until its row says so."""
    volume = cloud.volume()
    attached = cloud.attach(volume, A, "rw")
    fence(volume, A["host"])
    cloud.reserve(volume, "rw")  # as for the standby
    with contextlib.suppress(LoginRefusedError):  # it may be over already
        cloud.connect(volume, A, attached)
    cloud.watch()
    assert not cloud.acls(volume)


@pytest.mark.parametrize("volume_is_gone", [False, True])
def test_fences_are_forgotten_one_by_one(tmp_path, volume_is_gone):
    fences = Fences(tmp_path / "fences")
    for host in HOSTS:
        assert fences.set("volume", host)
    fences.forget("volume", None if volume_is_gone else HOSTS[0])
    left = [] if volume_is_gone else [HOSTS[1]]
    assert [one.initiator for one in fences.of("volume")] == left
    fences.forget("volume", HOSTS[1])
    assert not list((tmp_path / "fences").iterdir())


def test_fence_that_is_set_while_the_last_one_is_forgotten_stays(tmp_path, monkeypatch):
    fences = Fences(tmp_path / "fences")
    fences.set("volume", HOSTS[0])
    for call in "unlink", "rmdir", "mkdir":
        _at(monkeypatch, Path, call, lambda: fences.set("volume", HOSTS[1]))
    _at(monkeypatch, os, "listdir", lambda: fences.set("volume", HOSTS[1]))
    fences.forget("volume", HOSTS[0])
    monkeypatch.undo()
    assert [one.initiator for one in fences.of("volume")] == [HOSTS[1]]


def test_fence_outlives_a_power_failure_with_the_folders_that_it_is_in(
    tmp_path, monkeypatch
):
    synced = []
    real = os.fsync

    def fsync(file):
        synced.append(Path(os.readlink(f"/proc/self/fd/{file}")))
        real(file)

    monkeypatch.setattr(os, "fsync", fsync)
    fences = tmp_path / "state" / "fences"
    assert Fences(fences).set("volume", HOSTS[0])
    assert {tmp_path, tmp_path / "state", fences, fences / "volume"} <= {*synced}
    assert fences.stat().st_mode & 0o77 == 0


def test_folder_that_goes_while_a_fence_is_written_is_made_anew(tmp_path, monkeypatch):
    fences = Fences(tmp_path / "fences")
    _at(monkeypatch, Path, "mkdir", (tmp_path / "fences" / "volume").rmdir)
    assert fences.set("volume", HOSTS[0])
    assert fences.of("volume")


def _at(monkeypatch, owner, call, happens):
    """Let something happen once, right after a call."""
    real = getattr(owner, call)
    done: list[bool] = []

    def instead(*arguments, **more):
        answer = real(*arguments, **more)
        if not done:
            done.append(True)
            happens()
        return answer

    monkeypatch.setattr(owner, call, instead)


def test_fence_is_done_to_its_end_though_nobody_listens(cloud, command):
    """As with ``2>&1 | head -1``."""
    volume = cloud.volume()
    cloud.attach(volume, A)
    done = command("fence", volume, A["host"], found=[backend_of(cloud)], err=Unheard())
    assert done.status == 0
    record = json.loads(cloud.record(volume).read_text())
    assert record["export"] is None
