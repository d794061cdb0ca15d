# SPDX-License-Identifier: Apache-2.0
"""One broken thing takes nothing else with it (laws 1 and 3)."""

import dataclasses
import errno
import pathlib
import stat
import uuid

import pytest
from cinder import context, coordination, exception, objects
from oslo_concurrency import processutils

from taikun_cinder import database
from taikun_cinder.access.model import Portal
from taikun_cinder.cinder_db import api as db
from taikun_cinder.cinder_db import models
from taikun_cinder.targets.lio.states import LioState
from tests.unit.cloud import A, B, Host, spoil
from tests.unit.memory import name_of

C = Host("compute3").connector


@pytest.mark.parametrize(
    "broken",
    [
        (coordination.Coordinator, "get_lock"),
        (database, "rows_of"),
        (database, "count_volumes"),
        (pathlib.Path, "read_bytes"),
    ],
)
def test_start_with_something_broken_leaves_volumes_in_use(cloud, monkeypatch, broken):
    volume = cloud.volume()
    attached = cloud.attach(volume, A)

    def fail(*args, **named):
        raise OSError(errno.EIO, "broken")

    with monkeypatch.context() as patch:
        patch.setattr(*broken, fail)
        update = cloud.driver.ensure_export(cloud.context, cloud.load(volume))
    assert volume in update["provider_location"]
    assert attached.session.alive
    cloud.reconcile()
    cloud.detach(volume, attached)
    assert cloud.acls(volume) is None


def _lose(attached):
    with db.main_context_manager.writer.using(context.get_admin_context()) as session:
        session.query(models.VolumeAttachment).filter_by(id=attached.id).delete()


@pytest.mark.parametrize(
    "columns",
    [
        {"connector": "{"},
        {"connector": "[]"},
        {"connector": '"text"'},
        {"connection_info": "{"},
        {"connection_info": "7"},
        {"connector": "{", "connection_info": "["},
        {"connector": "[" * 100_000},
        {"attach_mode": "none"},
    ],
)
def test_row_that_cannot_be_read_harms_no_other_host(cloud, log, columns):
    volume = cloud.volume()
    bad, good = cloud.attach(volume, A), cloud.attach(volume, B)
    # Cinder's own objects cannot be loaded with such a row.
    loaded = cloud.load(volume)
    marked = objects.VolumeAttachment.get_by_id(cloud.context, good.id).connector
    spoil(bad, **columns)
    for _ in range(3):
        cloud.reconcile()
    new = dict(C)
    cloud.driver.initialize_connection(loaded, new)
    assert cloud.driver.terminate_connection(loaded, marked) is True
    assert not good.session.alive
    _lose(good)
    for _ in range(3):
        cloud.reconcile()
    assert bad.session.alive
    assert cloud.driver.terminate_connection(loaded, new) is True
    assert cloud.target.acls_of(loaded) == {A["initiator"]}
    _lose(bad)
    for _ in range(3):
        cloud.reconcile()
    assert cloud.acls(volume) is None


@pytest.mark.parametrize(
    "columns", [{"connector": "7"}, {"connection_info": "7"}, {"connector": "{"}]
)
def test_detach_keeps_the_host_whose_other_row_cannot_be_read(cloud, columns):
    volume = cloud.volume()
    first, second = cloud.attach(volume, A), cloud.attach(volume, A)
    other = cloud.attach(volume, B)
    cloud.reconcile()
    loaded = cloud.load(volume)
    marked = objects.VolumeAttachment.get_by_id(cloud.context, first.id).connector
    spoil(second, **columns)
    cloud.driver.terminate_connection(loaded, marked)
    assert second.session.alive
    # By force Cinder ends connections of its own, and this is none.
    cloud.driver.terminate_connection(loaded, dict(A), force=True)
    assert second.session.alive
    cloud.driver.terminate_connection(loaded, None)
    assert not second.session.alive
    assert not other.session.alive


def test_row_that_cannot_be_read_keeps_the_hosts_of_a_renamed_back_end(cloud):
    volume = cloud.volume()
    bad, good = cloud.attach(volume, A), cloud.attach(volume, B)
    renamed = cloud.load(volume)
    renamed.host = "renamed@lvm#pool"
    renamed.save()
    spoil(bad, connector="{")
    for _ in range(3):
        cloud.reconcile()
    assert bad.session.alive
    assert good.session.alive
    _lose(bad)
    for _ in range(3):
        cloud.reconcile()
    assert not bad.session.alive
    assert good.session.alive


def _fail_to_activate(name):
    raise processutils.ProcessExecutionError(stderr="VG lock failed")


def _let_activate_once(cloud, patch):
    real, calls = cloud.driver.vg.activate_lv, []

    def once(name, **named):
        calls.append(name)
        if len(calls) > 1:
            _fail_to_activate(name)
        real(name)

    patch.setattr(cloud.driver.vg, "activate_lv", once)


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("rebooted", [False, True])
def test_detach_holds_though_the_volume_cannot_be_activated(
    cloud, monkeypatch, log, force, rebooted
):
    volume = cloud.volume()
    first, second = cloud.attach(volume, A), cloud.attach(volume, B)
    if rebooted:
        cloud.target.kernel.put(LioState(name_of(cloud.load(volume))))
    row = objects.VolumeAttachment.get_by_id(cloud.context, first.id)
    with monkeypatch.context() as patch:
        patch.setattr(cloud.driver.vg, "activate_lv", _fail_to_activate)
        loaded = cloud.load(volume)
        assert cloud.driver.terminate_connection(loaded, row.connector, force=force)
        cloud.forget(volume, first)
        assert not first.session.alive
        assert second.session.alive is not rebooted
        assert "VG lock failed" in log.text
        reserved = cloud.reserve(volume)
        with pytest.raises(exception.VolumeBackendAPIException, match=volume):
            cloud.connect(volume, C, reserved)
        cloud.reconcile()
        assert second.session.alive is not rebooted
    cloud.reconcile()
    assert cloud.acls(volume) == {B["initiator"]}


def test_second_attach_of_a_host_that_fails_leaves_it_what_it_has(cloud, monkeypatch):
    volume = cloud.volume()
    reader = cloud.attach(volume, A, "ro")
    writer = cloud.attach(volume, B, "rw")
    cloud.watch()
    reserved = cloud.reserve(volume, "rw")
    with monkeypatch.context() as patch:
        patch.setattr(cloud.driver.vg, "activate_lv", _fail_to_activate)
        with pytest.raises(exception.VolumeBackendAPIException):
            cloud.connect(volume, A, reserved)
    assert reader.session.alive
    assert not reader.writes()
    assert writer.writes()


def test_second_attach_of_a_host_fails_where_a_reboot_took_what_it_had(
    cloud, monkeypatch
):
    volume = cloud.volume()
    cloud.attach(volume, A)
    cloud.target.kernel.put(LioState(name_of(cloud.load(volume))))
    reserved = cloud.reserve(volume)
    with monkeypatch.context() as patch:
        patch.setattr(cloud.driver.vg, "activate_lv", _fail_to_activate)
        with pytest.raises(exception.VolumeBackendAPIException, match="VG lock failed"):
            cloud.connect(volume, A, reserved)
    cloud.reconcile()
    assert cloud.acls(volume) == {A["initiator"]}


def test_host_whose_mode_came_when_lvm_failed_goes_on_with_less(cloud, monkeypatch):
    volume = cloud.volume()
    writer = cloud.attach(volume, B, "rw")
    with monkeypatch.context() as patch:
        _let_activate_once(cloud, patch)
        late = cloud.attach_in_one(volume, A, "rw")
        cloud.watch(1)
    assert writer.writes()
    assert late.session.alive
    cloud.reconcile()
    assert late.writes()


def _lose_record(cloud, volume, attached):
    cloud.record(volume).unlink()


def _damage_record(cloud, volume, attached):
    cloud.record(volume).write_text("{")


def _take_over(cloud, volume, attached):
    cloud.as_by_the_in_tree_driver(volume, attached, "rw")


def _start(cloud, volume, attached):
    cloud.driver.ensure_export(cloud.context, cloud.load(volume))


def _pass(cloud, volume, attached):
    cloud.reconcile()


def _end_the_other(cloud, volume, attached):
    cloud.terminate(volume, attached)


@pytest.mark.parametrize("without", [_lose_record, _damage_record, _take_over])
@pytest.mark.parametrize("event", [_start, _pass, _end_the_other])
def test_without_record_and_lvm_nobody_loses_his_disk_for_that(
    cloud, monkeypatch, without, event
):
    volume = cloud.volume()
    first, second = cloud.attach(volume, A), cloud.attach(volume, B)
    cloud.watch()
    without(cloud, volume, first)
    with monkeypatch.context() as patch:
        patch.setattr(cloud.driver.vg, "activate_lv", _fail_to_activate)
        event(cloud, volume, first)
    assert second.writes()
    assert first.session.alive is (event is not _end_the_other)


def test_what_is_exported_stays_though_lvm_fails_and_it_is_another_device(
    cloud, monkeypatch
):
    volume = cloud.volume()
    first = cloud.attach(volume, A)
    cloud.watch()
    name = name_of(cloud.load(volume))
    state = cloud.target.kernel.read(name)
    other = dataclasses.replace(
        state.backstore, device="/dev/mapper/cinder--volumes-other"
    )
    cloud.target.kernel.put(dataclasses.replace(state, backstore=other))
    with monkeypatch.context() as patch:
        patch.setattr(cloud.driver.vg, "activate_lv", _fail_to_activate)
        cloud.reconcile()
    assert first.session.alive


def test_access_that_ended_without_lvm_does_not_come_back_at_a_boot(cloud, monkeypatch):
    volume = cloud.volume()
    gone, stays = cloud.attach(volume, A), cloud.attach(volume, B)
    cloud.watch()
    cloud.reconcile()
    cloud.forget(volume, gone)  # Cinder has deleted it, and not told the driver
    with monkeypatch.context() as patch:
        patch.setattr(cloud.driver.vg, "activate_lv", _fail_to_activate)
        cloud.reconcile()
    assert not gone.session.alive
    assert stays.session.alive
    record = cloud.driver._exports._records.read(volume)
    assert {str(grant.initiator) for grant in record.export.grants} == {B["initiator"]}


def test_start_beside_a_database_that_fails_puts_no_volume_into_error(
    cloud, monkeypatch
):
    volume = cloud.volume()
    attached = cloud.attach(volume, A)
    loaded = cloud.load(volume)
    loaded.service_uuid = None
    cloud.restart_driver()

    def fail(*args):
        raise OSError("the database is away")

    monkeypatch.setattr(database, "service", fail)
    cloud.driver.__dict__.pop("_service_uuid", None)  # as in a new process
    assert cloud.driver.ensure_export(cloud.context, loaded) == {}
    assert attached.session.alive


def _full(*args, **named):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def full():
    """A state folder whose disk is full until the context of this is left."""
    with pytest.MonkeyPatch.context() as patch:
        yield lambda: patch.setattr("os.fsync", _full)


def test_detach_holds_though_its_record_cannot_be_written(cloud, full, log):
    volume = cloud.volume()
    first, second = cloud.attach(volume, A), cloud.attach(volume, B)
    full()
    cloud.terminate(volume, first)
    assert not first.session.alive
    for _ in range(3):
        cloud.reconcile()
    assert cloud.acls(volume) == {B["initiator"]}
    assert second.session.alive
    assert "No space left" in log.text


def test_what_could_not_be_written_is_written_when_there_is_room(cloud):
    volume = cloud.volume()
    first = cloud.attach(volume, A)
    cloud.attach(volume, B)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", _full)
        cloud.terminate(volume, first)
    cloud.reconcile()
    cloud.restart_driver()
    cloud.reconcile()
    assert cloud.acls(volume) == {B["initiator"]}


def test_what_could_not_be_written_gives_way_to_what_another_process_wrote(cloud):
    volume = cloud.volume()
    first = cloud.attach(volume, A)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", _full)
        cloud.terminate(volume, first)
    # Another process of the same back end, as while a service is replaced.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cloud.driver._exports._records, "_unwritten", {})
        session = cloud.connect_only(cloud.load(volume), B)
    for _ in range(2):
        cloud.reconcile()
    assert session.alive


def test_deletion_ends_though_the_state_folder_is_read_only(cloud, monkeypatch, log):
    volume = cloud.volume()
    attached = cloud.attach(volume, A)
    cloud.detach(volume, attached)

    def refuse(*args, **named):
        raise OSError(errno.EROFS, "Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr(pathlib.Path, "unlink", refuse)
        loaded = cloud.load(volume)
        loaded.status = "deleting"
        loaded.save()
        cloud.manager.delete_volume(cloud.context, loaded)
    with pytest.raises(exception.VolumeNotFound):
        cloud.load(volume)
    assert "Read-only file system" in log.text
    cloud.reconcile()
    assert not cloud.record(volume).exists()


def test_draft_that_could_not_be_written_does_not_stay_with_its_passwords(cloud, full):
    volume = cloud.volume()
    full()
    reserved = cloud.reserve(volume)
    with pytest.raises(exception.VolumeBackendAPIException):
        cloud.connect(volume, A, reserved)
    folder = cloud.record(volume).parent
    assert list(folder.glob(f"{volume}*")) == []
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_failed_removal_does_not_hide_why_an_attach_failed(cloud, monkeypatch):
    volume = cloud.volume()
    reserved = cloud.reserve(volume)
    cloud.target.fails_for = {A["initiator"]}

    def fail(*args, **named):
        raise ValueError("the removal failed as well")

    monkeypatch.setattr(cloud.driver._exports, "ensure", fail)
    with pytest.raises(exception.VolumeBackendAPIException) as caught:
        cloud.connect(volume, A, reserved)
    assert "removal" not in str(caught.value)
    assert objects.Volume.get_by_id(cloud.context, volume)


@pytest.mark.options(target_secondary_ip_addresses=["192.0.2.12", "192.0.2.13"])
@pytest.mark.parametrize("taken", [["192.0.2.11"], ["192.0.2.12", "192.0.2.13"]])
def test_portal_that_cannot_be_had_keeps_hosts_from_no_other(cloud, log, taken):
    volume = cloud.volume()
    cloud.target.kernel.taken = set(map(Portal, taken))
    attached = cloud.attach(volume, A)
    assert attached.session.alive
    attached.session.write(b"by the other portal")
    assert "address in use" in log.text
    assert taken[0] in log.text
    cloud.target.kernel.taken = set()
    cloud.reconcile()
    tpg = cloud.target.kernel.read(name_of(cloud.load(volume))).tpg
    assert len(tpg.portals) == 3
    assert attached.session.alive


def test_attach_fails_where_no_portal_can_be_had(cloud):
    volume = cloud.volume()
    cloud.target.kernel.taken = {Portal("192.0.2.11")}
    with pytest.raises(exception.VolumeBackendAPIException, match="address in use"):
        cloud.attach(volume, A)


def test_attach_that_fails_after_its_answer_ends_nothing_of_another_host(
    cloud, monkeypatch
):
    volume = cloud.volume()
    first, second = cloud.attach(volume, A), cloud.attach(volume, A)
    cloud.watch()
    # It does not say which of the two it means, so the row's deletion will.
    cloud.driver.terminate_connection(cloud.load(volume), dict(A))
    cloud.forget(volume, first)
    cloud.set_readonly(volume, "False")

    def fail(*_):
        raise OSError("the database is away for a moment")

    monkeypatch.setattr(database, "remove_readonly_flag", fail)
    reserved = cloud.reserve(volume)
    with pytest.raises(exception.VolumeBackendAPIException):
        cloud.connect(volume, B, reserved)
    assert second.session.alive


@pytest.mark.parametrize("force", [False, True])
def test_detach_holds_without_lvm_though_another_host_waits_for_more(
    cloud, monkeypatch, force
):
    volume = cloud.volume()
    fenced = cloud.attach(volume, A)
    with monkeypatch.context() as patch:
        _let_activate_once(cloud, patch)
        # Its row says only later that it may write.
        other = cloud.attach_in_one(volume, B, "rw")
        cloud.watch(1)
        row = objects.VolumeAttachment.get_by_id(cloud.context, fenced.id)
        loaded = cloud.load(volume)
        assert cloud.driver.terminate_connection(loaded, row.connector, force=force)
        assert not fenced.session.alive
    cloud.reconcile()
    assert other.session.alive
    assert cloud.acls(volume) == {B["initiator"]}


def test_what_a_pass_ended_without_lvm_does_not_come_back_by_a_request(
    cloud, monkeypatch
):
    volume = cloud.volume()
    cloud.attach(volume, A)
    cloud.watch()
    cloud.reconcile()
    cloud.lose_answer(volume, C, str(uuid.uuid4()))
    assert C["initiator"] in cloud.acls(volume)
    with monkeypatch.context() as patch:
        patch.setattr(cloud.driver.vg, "activate_lv", _fail_to_activate)
        cloud.pass_often()
        assert C["initiator"] not in cloud.acls(volume)
    cloud.attach(volume, B)
    assert C["initiator"] not in cloud.acls(volume)


def test_detach_holds_without_lvm_after_a_pass_without_it(cloud, monkeypatch):
    volume = cloud.volume()
    fenced, other = cloud.attach(volume, A), cloud.attach(volume, B)
    cloud.watch()
    cloud.reconcile()
    cloud.lose_answer(volume, C, str(uuid.uuid4()))
    with monkeypatch.context() as patch:
        patch.setattr(cloud.driver.vg, "activate_lv", _fail_to_activate)
        cloud.pass_often()
        assert cloud.terminate(volume, fenced)
    assert not fenced.session.alive
    assert other.session.alive


def test_record_says_what_a_detach_ended_though_the_database_fails_then(
    cloud, monkeypatch
):
    volume = cloud.volume()
    first, second = cloud.attach(volume, A), cloud.attach(volume, B)
    gone = cloud.attach(volume, B)
    cloud.watch()
    cloud.reconcile()
    cloud.forget(volume, gone)  # nobody told the driver
    real, asked = database.deleted, []

    def deleted(ids):
        if A["initiator"] not in cloud.acls(volume):
            raise OSError("the database is gone")
        asked.append(ids)
        return real(ids)

    with monkeypatch.context() as patch:
        patch.setattr(database, "deleted", deleted)
        cloud.terminate(volume, first)
    assert asked == [{gone.id}]
    assert cloud.acls(volume) == {B["initiator"]}
    record = cloud.driver._exports._records.of(cloud.load(volume))
    assert {str(one.initiator) for one in record.export.grants} == {B["initiator"]}
    assert second.session.alive
