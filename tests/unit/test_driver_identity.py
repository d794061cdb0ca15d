# SPDX-License-Identifier: Apache-2.0
"""What a request is about is looked at under the lock, and not guessed from an id."""

import json
import shutil
import uuid

import pytest
from cinder import exception, objects

from taikun_cinder import volume_record
from taikun_cinder.access.model import Initiator
from taikun_cinder.cinder_db import api as db
from taikun_cinder.cinder_db import models
from taikun_cinder.exception import VolumeHeld
from taikun_cinder.survey import Survey
from taikun_cinder.targets.lio.states import BackstoreState, LioState
from tests.unit.cloud import A, B, Cloud, Host, lose, spoil
from tests.unit.memory import name_of


def _migrate(cloud, volume):
    """End a migration of a volume in use, as migrate_volume_completion does.

    Returns:
        the destination's id, and what moves its attachments, which Cinder does last.
    """
    worker = cloud.volume(migration_status=f"target:{volume}")
    attached = cloud.attach(worker, A)
    source, destination = cloud.load(volume), cloud.load(worker)
    source.update(
        cloud.driver.update_migrated_volume(
            cloud.context, source, destination, "in-use"
        )
    )
    destination = source.finish_volume_migration(destination)

    def move():
        for row in objects.VolumeAttachmentList.get_all_by_volume_id(
            cloud.context, destination.id
        ):
            row.volume_id = volume
            row.save()

    return worker, attached, move


def test_migration_in_use_under_a_reconcile_takes_no_disk_away(cloud):
    volume = cloud.volume()
    listed = cloud.load(volume)
    worker, attached, move = _migrate(cloud, volume)
    stale = [listed, cloud.load(volume), cloud.load(worker)]
    for _ in range(3):
        for one in stale:
            cloud.driver._exports.ensure(one, sweep=1, search=True)
        cloud.reconcile()
        assert attached.session.alive
    move()
    for one in stale:
        cloud.driver._exports.ensure(one, sweep=1, search=True)
    cloud.reconcile()
    assert attached.session.alive
    cloud.detach(volume, attached)
    assert not attached.session.alive
    cloud.reconcile()
    assert cloud.target.names("") == frozenset()


def test_source_of_a_migration_is_deleted_before_and_after_its_rows_move(cloud):
    for first in (True, False):
        volume = cloud.volume()
        old = cloud.attach(volume, B)
        cloud.detach(volume, old)
        worker, attached, move = _migrate(cloud, volume)
        if first:
            move()
        cloud.driver.remove_export(cloud.context, cloud.load(worker))
        cloud.driver.delete_volume(cloud.load(worker))
        if not first:
            move()
        cloud.reconcile()
        assert attached.session.alive
        cloud.detach(volume, attached)


def test_request_with_a_volume_that_has_moved_is_refused(cloud):
    volume = cloud.volume()
    stale = cloud.load(volume)
    _, attached, move = _migrate(cloud, volume)
    move()
    with pytest.raises(exception.VolumeDriverException, match="migrated"):
        cloud.driver.initialize_connection(stale, dict(B))
    with pytest.raises(exception.VolumeDriverException, match="migrated"):
        cloud.driver.terminate_connection(stale, dict(A))
    cloud.driver.remove_export(cloud.context, stale)
    assert attached.session.alive
    assert cloud.acls(volume) == {A["initiator"]}


def test_volume_of_another_back_end_gets_nobody_in(cloud):
    volume = cloud.volume()
    stale = cloud.load(volume)
    loaded = cloud.load(volume)
    loaded.host = "elsewhere@lvm#pool"
    loaded.save()
    with pytest.raises(exception.VolumeDriverException, match="elsewhere@lvm"):
        cloud.driver.initialize_connection(stale, dict(A))
    assert cloud.target.names("") == frozenset()


def _with_prefix(cloud, prefix):
    layout = cloud.driver._layout
    object.__setattr__(layout, "prefix", prefix)


def test_change_of_target_prefix_takes_no_disk_and_leaves_nobody_in(cloud):
    volume = cloud.volume()
    first, second = cloud.attach(volume, A), cloud.attach(volume, B)
    _with_prefix(cloud, "iqn.2030-01.example:")
    cloud.restart_driver()
    _with_prefix(cloud, "iqn.2030-01.example:")
    location = cloud.driver.ensure_export(cloud.context, cloud.load(volume))
    cloud.reconcile()
    assert first.session.alive
    assert second.session.alive
    assert "iqn.2010-10.org.openstack:" in location["provider_location"]
    cloud.detach(volume, first)
    assert not first.session.alive
    third = cloud.reserve(volume)
    information = cloud.manager.attachment_update(
        cloud.context, cloud.load(volume), dict(A), third.id
    )
    assert information["target_iqn"] == name_of(cloud.load(volume))
    cloud.detach(volume, third)
    cloud.detach(volume, second)
    assert cloud.target.names("") == frozenset()
    fourth = cloud.reserve(volume)
    information = cloud.manager.attachment_update(
        cloud.context, cloud.load(volume), dict(A), fourth.id
    )
    assert information["target_iqn"].startswith("iqn.2030-01.example:")


def test_change_of_target_prefix_is_survived_without_records(cloud):
    volume = cloud.volume()
    first, second = cloud.attach(volume, A), cloud.attach(volume, B)
    cloud.record(volume).unlink()
    cloud.restart_driver()
    _with_prefix(cloud, "iqn.2030-01.example:")
    cloud.driver.ensure_export(cloud.context, cloud.load(volume))
    cloud.reconcile()
    assert first.session.alive
    cloud.detach(volume, first)
    assert not first.session.alive
    assert second.session.alive


def _killed_before_it_was_written_down(cloud, volume):
    """Let A in, and forget it, as when the service starts with another prefix."""
    reserved = cloud.reserve(volume)
    information = cloud.driver.initialize_connection(cloud.load(volume), dict(A))
    cloud.record(volume).unlink()
    cloud.forget(volume, reserved)
    _with_prefix(cloud, "iqn.2030-01.example:")
    return information["data"]


def test_export_that_nobody_wrote_down_ends_though_its_prefix_is_another(cloud, log):
    volume = cloud.volume()
    _killed_before_it_was_written_down(cloud, volume)
    cloud.reconcile()
    assert cloud.target.names("") == frozenset()
    assert f"access of {A['initiator']}" in log.text


def test_host_that_uses_such_an_export_loses_it_in_the_second_pass(cloud):
    volume = cloud.volume()
    told = _killed_before_it_was_written_down(cloud, volume)
    session = cloud.target.log_in(cloud.load(volume), A, told)
    cloud.reconcile()
    assert session.alive
    cloud.reconcile()
    assert cloud.target.names("") == frozenset()


def test_volume_of_another_group_with_such_a_name_is_let_be(cloud):
    volume = cloud.volume()
    name = f"iqn.2030-01.example:{cloud.load(volume).name}"
    other = BackstoreState("/dev/another/volume", "another", active=True)
    cloud.target.kernel.put(LioState(name, other))
    _passes(cloud)
    assert cloud.target.names("") == {name}


def test_export_that_was_begun_only_ends_though_its_prefix_is_another(cloud):
    volume = cloud.volume()
    name = f"iqn.2030-01.example:{cloud.load(volume).name}"
    cloud.target.kernel.put(LioState(name, BackstoreState("", "", active=False)))
    cloud.reconcile()
    assert cloud.target.names("") == frozenset()


def _forgotten_under_another_prefix(cloud, volume):
    """Let the service have no record, and another prefix, as when it is taken over."""
    cloud.watch(1)
    cloud.restart_driver()
    cloud.record(volume).unlink()
    _with_prefix(cloud, "iqn.2030-01.example:")


@pytest.mark.parametrize("confirmed", [False, True])
def test_old_apis_host_keeps_an_export_under_another_prefix(cloud, confirmed):
    volume = cloud.volume()
    old = cloud.os_attach(volume, A)
    _forgotten_under_another_prefix(cloud, volume)
    cloud.pass_often()
    cloud.driver._reconcile.once(confirmed=confirmed)
    assert old.session.alive


def test_old_apis_host_is_detached_from_it_beside_others(cloud):
    volume = cloud.volume()
    one, other = cloud.os_attach(volume, A), cloud.os_attach(volume, B)
    _forgotten_under_another_prefix(cloud, volume)
    new = cloud.attach(volume, Host("compute3").connector)
    cloud.pass_often()
    assert one.session.alive
    one.session.logout()
    cloud.os_detach(volume, one, A)
    assert A["initiator"] not in cloud.acls(volume)
    cloud.pass_often()
    assert A["initiator"] not in cloud.acls(volume)
    assert other.session.alive
    assert new.session.alive


@pytest.mark.parametrize("again", [False, True])
def test_host_whose_attachment_cannot_be_read_keeps_it(cloud, again):
    volume = cloud.volume()
    attached = cloud.attach(volume, A)
    _forgotten_under_another_prefix(cloud, volume)
    spoil(attached, connection_info="{")
    _passes(cloud, 3)
    if again:
        cloud.record(volume).unlink()
        _passes(cloud, 3)
    assert attached.session.alive


def test_host_that_may_use_it_beside_an_export_of_the_new_name_keeps_it(cloud):
    volume = cloud.volume()
    _killed_before_it_was_written_down(cloud, volume)
    reserved = cloud.reserve(volume)
    cloud.manager.attachment_update(
        cloud.context, cloud.load(volume), dict(B), reserved.id
    )
    spoil(reserved, connection_info="{")
    _passes(cloud, 3)
    assert len(cloud.target.names("")) == 2


def _passes(cloud, number=2):
    for _ in range(number):
        cloud.reconcile()


def test_volume_that_left_the_database_leaves_no_export_and_no_record(cloud):
    volume = cloud.volume()
    attached = cloud.attach(volume, A)
    db.volume_destroy(cloud.context, volume)
    cloud.reconcile()
    assert attached.session.alive  # seen once
    cloud.reconcile()
    assert not attached.session.alive
    assert cloud.target.names("") == frozenset()
    assert not cloud.record(volume).exists()


def test_export_without_a_record_and_without_a_volume_is_removed(cloud, log):
    volume = cloud.volume()
    attached = cloud.attach(volume, A)
    cloud.record(volume).unlink()
    db.volume_destroy(cloud.context, volume)
    _passes(cloud)
    assert not attached.session.alive
    assert cloud.target.names("") == frozenset()
    assert "Cinder has no such volume" in log.text


def test_export_under_a_former_prefix_without_record_and_volume_is_removed(cloud):
    volume = cloud.volume()
    _killed_before_it_was_written_down(cloud, volume)
    cloud.load(volume).destroy()
    cloud.reconcile()
    assert cloud.target.names("") == frozenset()


def test_export_of_another_group_is_never_an_orphan(cloud, configure, volume_type):
    other = Cloud(configure(volume_group="cinder-old").config_group, volume_type)
    volume = other.volume()
    attached = other.attach(volume, A)
    db.volume_destroy(other.context, volume)
    _passes(cloud, 3)
    assert attached.session.alive
    other.end_driver()


def test_volumes_of_a_back_end_that_was_renamed_keep_their_hosts(cloud, log):
    volume = cloud.volume()
    first, second = cloud.attach(volume, A), cloud.attach(volume, B)
    renamed = cloud.load(volume)
    renamed.host = "renamed@lvm#pool"
    renamed.save()
    _passes(cloud, 3)
    assert first.session.alive
    assert "update_host" in log.text
    # A detach that its service could not be told of any more.
    cloud.forget(volume, first)
    _passes(cloud)
    assert not first.session.alive
    assert second.session.alive
    cloud.forget(volume, second)
    _passes(cloud)
    assert cloud.target.names("") == frozenset()
    assert not cloud.record(volume).exists()


def test_old_apis_host_of_a_back_end_that_was_renamed_keeps_its_disk(cloud):
    volume = cloud.volume()
    old = cloud.os_attach(volume, A)
    server = cloud.attach(volume, B)
    cloud.watch(1)
    cloud.log_out(old)  # nothing but its attachment speaks for it
    renamed = cloud.load(volume)
    renamed.host = "renamed@lvm#pool"
    renamed.save()
    _passes(cloud, 3)
    assert cloud.acls(volume) == {A["initiator"], B["initiator"]}
    cloud.forget(volume, server)
    cloud.forget(volume, old)
    _passes(cloud)
    assert cloud.target.names("") == frozenset()


@pytest.mark.parametrize("left", [False, True])
def test_what_a_confirmed_pass_does_to_a_renamed_back_end_is_told(cloud, left):
    volume = cloud.volume()
    stays, goes = cloud.attach(volume, A), cloud.attach(volume, B)
    cloud.watch()
    renamed = cloud.load(volume)
    renamed.host = "renamed@lvm#pool"
    renamed.save()
    if left:
        cloud.forget(volume, goes)
    exports = cloud.driver._exports
    survey = Survey(exports, exports._records, 60, print)
    assert bool(survey.orphans()) is left
    cloud.driver._reconcile.once(confirmed=True)
    assert stays.session.alive
    assert goes.session.alive is not left
    assert not survey.orphans()


@pytest.mark.parametrize("has_volume", [False, True])
def test_record_that_was_copied_from_another_node_goes_if_no_volume_has_its_name(
    cloud, log, has_volume
):
    volume = cloud.volume()
    cloud.attach(volume, A)
    other = cloud.volume() if has_volume else str(uuid.uuid4())
    plain = json.loads(cloud.record(volume).read_text().replace(volume, other))
    plain["about"] |= {"node": "another", "backend": "another@lvm", "machine": "0" * 32}
    cloud.record(other).write_text(json.dumps(plain))
    if has_volume:
        elsewhere = cloud.load(other)
        elsewhere.host = "another@lvm#pool"
        elsewhere.save()
    cloud.reconcile()
    assert cloud.record(other).exists() is has_volume
    assert has_volume or "another" in log.text
    assert cloud.acls(volume) == {A["initiator"]}


def test_connection_of_cinders_own_outlives_that_its_back_end_is_renamed(cloud):
    volume = cloud.volume()
    session = cloud.connect_only(cloud.load(volume), A)
    renamed = cloud.load(volume)
    renamed.host = "renamed@lvm#pool"
    renamed.save()
    _passes(cloud, 4)
    assert session.alive
    session.logout()
    _passes(cloud)
    assert cloud.target.names("") == frozenset()


def test_orphans_of_hosts_that_are_not_logged_in_are_no_revocations(cloud):
    volume = cloud.volume()
    for number in range(5):
        attached = cloud.attach(volume, Host(f"compute{number}").connector)
        attached.session.logout()
    db.volume_destroy(cloud.context, volume)
    cloud.reconcile()
    assert cloud.target.names("") == frozenset()


@pytest.mark.parametrize("has_record", [False, True])
@pytest.mark.parametrize("is_deleted", [False, True])
def test_fence_goes_with_its_volume_and_not_with_a_missing_row(
    cloud, has_record, is_deleted
):
    volume, other = cloud.volume(), cloud.volume()
    attached = cloud.attach(volume, A)
    fences = cloud.driver._exports.fences
    kept = cloud.record(volume).read_text()
    cloud.detach(volume, attached)
    if is_deleted:
        cloud.driver.delete_volume(cloud.load(volume))
        db.volume_destroy(cloud.context, volume)
    else:
        lose(cloud.load(volume), table=models.Volume)
    # An operator fences it just then.
    for one in volume, other:
        fences.set(one, Initiator(A["initiator"]))
    if has_record:
        cloud.record(volume).write_text(kept)
    _passes(cloud)
    left = {other} if is_deleted else {volume, other}
    assert left <= set(fences.volumes())
    assert is_deleted is (volume not in fences.volumes())
    assert not cloud.record(volume).exists()


@pytest.mark.parametrize(
    ("name", "machine_id", "serial"),
    [
        ("node1.example.com", "one", "made-up"),
        ("", "another", "made-up"),
        ("node2", "another", None),
        ("node2", "", None),
    ],
)
def test_record_is_the_nodes_own_by_its_name_or_its_machine(
    cloud, monkeypatch, name, machine_id, serial
):
    volume = cloud.volume()
    attached = cloud.attach(volume, A)
    target, kernel = name_of(cloud.load(volume)), cloud.target.kernel
    plain = json.loads(cloud.record(volume).read_text())
    plain["export"]["serial"] = "made-up"
    plain["about"]["machine"] = "one"
    cloud.record(volume).write_text(json.dumps(plain))
    kernel.put(LioState(target))  # a reboot, and the name is another then
    if name:
        monkeypatch.setattr("socket.gethostname", lambda: name)
    monkeypatch.setattr(volume_record, "machine_id", lambda: machine_id)
    cloud.restart_driver()
    cloud.reconcile()
    again = cloud.target.log_in(cloud.load(volume), A, attached.information)
    assert again.serial == (serial or volume)


def test_volumes_that_are_given_to_another_back_end_of_the_node_are_its_own(
    cloud, configure, volume_type
):
    volume = cloud.volume()
    attached = cloud.attach(volume, A)
    other = Cloud(configure().config_group, volume_type)
    moved = cloud.load(volume)
    moved.host = f"{other.manager.host}#pool"
    moved.save()
    for _ in range(3):
        cloud.reconcile()
        other.reconcile()
    assert attached.session.alive
    other.detach(volume, attached)
    assert not attached.session.alive
    other.end_driver()


def test_export_without_a_record_of_another_back_end_is_no_orphan(
    cloud, configure, volume_type
):
    other = Cloud(configure().config_group, volume_type)
    volume = other.volume()
    session = other.connect_only(other.load(volume), B)
    other.record(volume).unlink()
    _passes(cloud, 3)
    assert session.alive
    other.end_driver()


def test_deletion_of_a_volume_that_is_attaching_erases_nothing(cloud):
    volume = cloud.volume()
    attached = cloud.attach(volume, A)
    cloud.driver.vg.volumes.add(cloud.load(volume).name)
    row = objects.VolumeAttachment.get_by_id(cloud.context, attached.id)
    row.attach_status = "attaching"
    row.save()
    loaded = cloud.load(volume)
    loaded.update({"status": "deleting", "attach_status": "attaching"})
    loaded.save()
    cloud.manager.delete_volume(cloud.context, loaded)
    assert attached.session.alive
    assert cloud.driver.vg.volumes == {loaded.name}
    assert cloud.load(volume).status == "available"


@pytest.mark.parametrize("call", ["delete_volume", "unmanage"])
def test_volume_that_a_host_is_logged_in_to_is_not_let_go(cloud, call):
    volume = cloud.volume()
    session = cloud.connect_only(cloud.load(volume), A)
    with pytest.raises(VolumeHeld, match=A["initiator"]):
        getattr(cloud.driver, call)(cloud.load(volume))
    assert session.alive


def test_volume_that_is_open_on_the_node_is_not_erased(cloud, monkeypatch):
    monkeypatch.setattr("taikun_cinder.volume_groups.time.sleep", lambda _: None)
    ticks = iter(range(100))
    monkeypatch.setattr(
        "taikun_cinder.volume_groups.time.monotonic", lambda: next(ticks)
    )
    volume = cloud.volume()
    name = cloud.load(volume).name
    cloud.driver.vg.volumes.add(name)
    cloud.driver.vg.opened.add(name)
    with pytest.raises(VolumeHeld, match="open on this node"):
        cloud.driver.delete_volume(cloud.load(volume))
    assert cloud.driver.vg.volumes == {name}


def test_status_that_looks_like_a_deletion_ends_nothing(cloud):
    volume = cloud.volume()
    attached = cloud.attach(volume, A)
    loaded = cloud.load(volume)
    loaded.status = "deleting"
    loaded.save()
    cloud.driver.remove_export(cloud.context, loaded)
    _passes(cloud)
    assert attached.session.alive


def test_copy_of_another_volumes_record_is_not_believed(cloud, log):
    volume, other = cloud.volume(), cloud.volume()
    first, second = cloud.attach(volume, A), cloud.attach(other, B)
    shutil.copy(cloud.record(other), cloud.record(volume))
    cloud.reconcile()
    assert first.session.alive
    assert second.session.alive
    assert cloud.acls(volume) == {A["initiator"]}
    assert "speaks of another" in log.text
    serials = {first.session.serial, second.session.serial}
    assert serials == {volume, other}


def test_copy_of_a_record_of_nothing_ends_no_connection_of_cinders_own(cloud):
    volume, other = cloud.volume(status="backing-up"), cloud.volume()
    cloud.detach(other, cloud.attach(other, B))
    session = cloud.connect_only(cloud.load(volume), A)
    shutil.copy(cloud.record(other), cloud.record(volume))
    cloud.reconcile()
    assert session.alive


def test_copy_of_a_record_under_a_name_that_no_volume_has_is_removed(cloud, log):
    volume = cloud.volume()
    attached = cloud.attach(volume, A)
    copy = cloud.record(str(uuid.uuid4()))
    shutil.copy(cloud.record(volume), copy)
    _passes(cloud)
    assert not copy.exists()
    assert copy.stem in log.text
    assert cloud.record(volume).exists()
    assert attached.session.alive


def test_record_of_another_node_is_not_believed(cloud, log):
    volume = cloud.volume()
    attached = cloud.attach(volume, A)
    plain = json.loads(cloud.record(volume).read_text())
    plain["about"].update(node="another", machine="another")
    plain["export"]["serial"] = "another"
    cloud.record(volume).write_text(json.dumps(plain))
    cloud.reconcile()
    assert attached.session.alive
    assert attached.session.serial == volume
    assert "another node" in log.text


def test_record_of_an_older_version_is_found_under_the_volumes_id(cloud):
    volume = cloud.volume()
    worker, attached, move = _migrate(cloud, volume)
    move()
    plain = json.loads(cloud.record(worker).read_text())
    del plain["about"]
    cloud.record(worker).unlink()
    cloud.record(volume).write_text(json.dumps(plain))
    cloud.restart_driver()
    second = cloud.attach(volume, B)
    assert attached.session.alive
    assert second.session.serial == attached.session.serial
    assert cloud.record(worker).exists()
    assert not cloud.record(volume).exists()


def test_serial_of_another_volumes_device_is_not_taken_over(cloud):
    volume = cloud.volume()
    other = BackstoreState("/dev/another/volume", "another", active=True)
    cloud.target.kernel.put(LioState(name_of(cloud.load(volume)), other))
    again = cloud.attach(volume, B)
    assert again.session.serial == volume
