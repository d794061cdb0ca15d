# SPDX-License-Identifier: Apache-2.0
"""Restart, failure and deletion: nobody loses access, and nothing is left."""

from pathlib import Path

import pytest
from cinder import exception
from cinder.db import api as db

from taikun_cinder.access.grants import Memory
from taikun_cinder.exception import StepFailed
from tests.unit.cloud import A, B


def test_restart_of_the_service_errs_on_the_side_of_keeping(cloud):
    volume = cloud.volume()
    first, second = cloud.attach(volume, A), cloud.attach(volume, B)
    cloud.terminate(volume, first)
    cloud.restart_driver()
    cloud.detach(volume, first)
    assert second.session.alive
    cloud.detach(volume, second)
    assert cloud.acls(volume) is None


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


def test_export_is_removed_for_a_volume_given_as_a_database_row(cloud):
    volume = cloud.volume()
    only = cloud.attach(volume, A)
    cloud.terminate(volume, only)
    cloud.driver.remove_export(cloud.context, db.volume_get(cloud.context, volume))
    assert cloud.acls(volume) is None
    cloud.forget(volume, only)


def test_memory_is_given_back_when_cinder_has_caught_up(cloud):
    volume = cloud.volume()
    first, second = cloud.attach(volume, A), cloud.attach(volume, B)
    cloud.detach(volume, first)
    cloud.detach(volume, second)
    cloud.manager.remove_export(cloud.context, volume)
    memories = cloud.driver._exports._memories.values()
    assert all(memory == Memory() for memory in memories)


def test_lock_of_a_deleted_volume_leaves_no_file(cloud, cinder):
    volume = cloud.volume()
    cloud.attach(volume, A)
    locks = cinder.state_path + "/locks"
    assert _files_of(volume, locks)
    cloud.driver.clean_volume_file_locks(volume)
    assert not _files_of(volume, locks)


def _files_of(volume, folder):
    return list(Path(folder).glob(f"*taikun_cinder-{volume}*"))
