# SPDX-License-Identifier: Apache-2.0
"""A volume that LVM cannot extend stays as it is, and in use."""

import time

import pytest
from cinder import objects
from cinder.objects import fields
from oslo_db import exception as db_exception

from taikun_cinder import database, extension
from taikun_cinder.exception import ExtendRefused
from tests.unit.cloud import A


@pytest.fixture
def volume(cloud):
    """Give a volume that a host uses."""
    made = cloud.volume(status="in-use")
    cloud.attach(made, A)
    cloud.load(made).update({"status": "in-use"})
    return made


class Nova:
    """A compute service that hears of new sizes."""

    def extend_volume(self, *arguments):
        pass


@pytest.fixture
def group(cloud, volume, monkeypatch):
    """Give the volume's group, in which it is open and has a thick snapshot."""
    monkeypatch.setattr("cinder.volume.manager.compute.API", Nova)
    monkeypatch.setattr(extension, "_MOMENT", 0.0)
    group = cloud.driver.vg
    name = cloud.load(volume)["name"]
    group.opened.add(name)
    group.with_snapshot.add(name)
    return group


def _extend(cloud, volume_id):
    """Extend a volume as Cinder's API and manager do; give its last status."""
    volume = cloud.load(volume_id)
    volume.update({"status": "extending", "previous_status": volume.status})
    volume.save()
    cloud.manager.stats.setdefault("pools", {})
    cloud.manager.extend_volume(cloud.context, cloud.load(volume_id), 2, None)
    deadline = time.monotonic() + 10
    while cloud.load(volume_id).status == "error_extending":
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
    return cloud.load(volume_id)


def test_volume_in_use_with_a_thick_snapshot_stays_in_use(cloud, volume, group, log):
    before = cloud.load(volume).status
    after = _extend(cloud, volume)
    assert (after.status, after.size) == (before, 1)
    assert group.extended == {}
    for words in (volume, "delete its snapshots", "node@"):
        assert words in log.text
    group.with_snapshot.clear()
    assert _extend(cloud, volume).size == 2


@pytest.mark.parametrize("missing", ["opened", "with_snapshot"])
def test_volume_that_lvm_can_extend_is_extended(cloud, volume, group, missing):
    getattr(group, missing).clear()
    after = _extend(cloud, volume)
    assert after.size == 2
    assert after.status == "in-use"


def test_status_that_somebody_else_gave_it_is_kept(cloud, volume, group, monkeypatch):
    monkeypatch.setattr(extension, "_PATIENCE", 0.3)
    with pytest.raises(ExtendRefused, match=volume):
        extension.refuse_impossible(
            group,
            cloud.driver._group,
            _with_previous(cloud, volume, "in-use", "maintenance"),
        )
    time.sleep(0.5)
    assert cloud.load(volume).status == "maintenance"


def test_database_that_is_away_is_told_once(cloud, volume, monkeypatch, log):
    monkeypatch.setattr(extension, "_PATIENCE", 0.5)
    monkeypatch.setattr(extension, "_PAUSE", 0.01)
    error = db_exception.DBConnectionError(OSError("no route to it"))
    tries = []

    def change(*_arguments):
        tries.append(error)
        raise error

    monkeypatch.setattr(database, "change_status", change)
    extension._give_back(volume, "in-use")
    assert len(tries) > 1
    failed = [one for one in log.records if one.levelname == "ERROR"]
    (told,) = failed
    assert told.exc_info is None
    assert volume in told.getMessage()
    assert "no route to it" in told.getMessage()


def _with_previous(cloud, volume_id, previous, status):
    volume = cloud.load(volume_id)
    volume.update({"status": status, "previous_status": previous})
    volume.save()
    return volume


def test_status_is_changed_only_from_what_it_was(cloud, volume):
    _with_previous(cloud, volume, "in-use", "error_extending")
    assert not database.change_status(volume, "extending", "available")
    assert database.change_status(volume, "error_extending", "in-use")
    assert cloud.load(volume).status == "in-use"


def snapshot_of(cloud, volume_id):
    """Make a snapshot's row."""
    made = objects.Snapshot(
        cloud.context,
        volume_id=volume_id,
        user_id="user",
        project_id="project",
        status=fields.SnapshotStatus.AVAILABLE,
        progress="100%",
        volume_size=1,
        volume_type_id=cloud.load(volume_id).volume_type_id,
        display_name="",
        display_description="",
        use_quota=False,
    )
    made.create()
    return made.id
