# SPDX-License-Identifier: Apache-2.0
"""Restart, failure and deletion: nobody loses access, and nothing is left."""

import stat
from pathlib import Path

import pytest
from cinder import exception

from taikun_cinder.access.ledger import Ledger
from taikun_cinder.cinder_db import api as db
from taikun_cinder.exception import StepFailed
from taikun_cinder.targets.lio.states import LioState
from tests.unit.cloud import A, B
from tests.unit.memory import name_of


def test_restart_of_the_service_forgets_no_detach(cloud):
    volume = cloud.volume()
    first, second = cloud.attach(volume, A), cloud.attach(volume, B)
    cloud.terminate(volume, first)
    cloud.restart_driver()
    cloud.reconcile()
    assert cloud.acls(volume) == {B["initiator"]}
    cloud.detach(volume, first)
    assert second.session.alive
    cloud.detach(volume, second)
    assert cloud.acls(volume) is None


def test_without_its_record_the_driver_errs_on_the_side_of_keeping(cloud):
    volume = cloud.volume()
    first, second = cloud.attach(volume, A), cloud.attach(volume, B)
    cloud.terminate(volume, first)
    cloud.record(volume).unlink()
    cloud.restart_driver()
    cloud.detach(volume, first)
    assert second.session.alive
    cloud.detach(volume, second)
    assert cloud.acls(volume) is None


def test_record_that_cannot_be_read_is_told_and_does_no_harm(cloud, log):
    volume = cloud.volume()
    first = cloud.attach(volume, A)
    cloud.record(volume).write_text('{"form": 1')
    second = cloud.attach(volume, B)
    assert str(cloud.record(volume)) in log.text
    assert first.session.alive
    cloud.detach(volume, first)
    cloud.detach(volume, second)
    assert cloud.acls(volume) is None


def test_record_that_cannot_be_written_fails_the_attach_and_gives_no_access(
    cloud, caplog
):
    volume = cloud.volume()
    first = cloud.attach(volume, A)
    folder = cloud.record(volume).parent
    away = folder.rename(folder.with_suffix(".away"))
    folder.touch()
    second = cloud.reserve(volume)
    with pytest.raises(exception.VolumeBackendAPIException):
        cloud.connect(volume, B, second)
    folder.unlink()
    away.rename(folder)
    assert "cannot be written to" in caplog.text
    cloud.reconcile()
    assert cloud.acls(volume) == {A["initiator"]}
    assert first.session.alive


def test_record_belongs_to_the_owner_alone(cloud):
    volume = cloud.volume()
    cloud.attach(volume, A)
    assert stat.S_IMODE(cloud.record(volume).stat().st_mode) == 0o600
    assert stat.S_IMODE(cloud.record(volume).parent.stat().st_mode) == 0o700


def test_connection_of_cinders_own_comes_back_after_a_reboot(cloud):
    volume = cloud.volume()
    # As by cinder-backup, which a reboot of this node does not end.
    cloud.connect_only(cloud.load(volume), A)
    cloud.target.kernel.put(LioState(name_of(cloud.load(volume))))
    cloud.restart_driver()
    cloud.reconcile()
    assert cloud.acls(volume) == {A["initiator"]}


def test_failed_detach_leaves_the_attachment_counted(cloud, monkeypatch):
    volume = cloud.volume()
    first = cloud.attach(volume, A)

    def fail(*args, **kwargs):
        raise StepFailed(target="t", step="s", cause="c")

    with monkeypatch.context() as patch:
        patch.setattr(cloud.target, "ensure", fail)
        with pytest.raises(exception.VolumeBackendAPIException):
            cloud.detach(volume, first)
    cloud.manager.remove_export(cloud.context, volume)
    assert first.session.alive
    cloud.detach(volume, first)
    assert cloud.acls(volume) is None


@pytest.mark.options(taikun_reconcile_interval=1, taikun_database_patience=90)
def test_detached_host_stays_out_while_cinder_deletes_its_row_slowly(
    cloud, monkeypatch
):
    volume = cloud.volume()
    first, other = cloud.attach(volume, A), cloud.attach(volume, B)
    now = cloud.driver._exports._clock()
    cloud.terminate(volume, first)
    for seconds, out in ((5, True), (80, True), (100, False)):
        monkeypatch.setattr(
            cloud.driver._exports, "_clock", lambda later=now + seconds: later
        )
        cloud.reconcile()
        assert (A["initiator"] not in cloud.acls(volume)) is out
    assert other.session.alive


def test_deletion_removes_the_export(cloud):
    volume = cloud.volume()
    # Cinder made a connection and died before it wrote it anywhere.
    cloud.manager.initialize_connection(cloud.context, cloud.load(volume), A)
    loaded = cloud.load(volume)
    loaded.status = "deleting"
    loaded.save()
    cloud.manager.delete_volume(cloud.context, loaded)
    assert cloud.target.names("") == frozenset()
    assert cloud.driver.vg.volumes == set()
    assert not cloud.record(volume).exists()


def test_reconcile_that_comes_too_late_keeps_nothing_of_a_deleted_volume(cloud):
    volume = cloud.volume()
    listed = cloud.load(volume)
    loaded = cloud.load(volume)
    loaded.status = "deleting"
    loaded.save()
    cloud.manager.delete_volume(cloud.context, loaded)
    assert cloud.driver._reconcile.one(listed) == 0
    assert not cloud.record(volume).exists()


def test_export_is_removed_for_a_volume_given_as_a_database_row(cloud):
    volume = cloud.volume()
    only = cloud.attach(volume, A)
    cloud.terminate(volume, only)
    cloud.driver.remove_export(cloud.context, db.volume_get(cloud.context, volume))
    assert cloud.acls(volume) is None
    cloud.forget(volume, only)


def test_record_is_empty_again_when_cinder_has_caught_up(cloud):
    volume = cloud.volume()
    for attached in (cloud.attach(volume, A), cloud.attach(volume, B)):
        cloud.log_out(attached)
        cloud.detach(volume, attached)
    cloud.manager.remove_export(cloud.context, volume)
    record = cloud.driver._exports._records.load(volume)
    assert (record.export, record.ledger) == (None, Ledger())


def test_lock_of_a_deleted_volume_leaves_no_file(cloud, cinder):
    volume = cloud.volume()
    cloud.attach(volume, A)
    locks = cinder.state_path + "/locks"
    assert _files_of(volume, locks)
    cloud.driver.clean_volume_file_locks(volume)
    assert not _files_of(volume, locks)


def _files_of(volume, folder):
    return list(Path(folder).glob(f"*taikun_cinder-{volume}*"))
