# SPDX-License-Identifier: Apache-2.0
"""A migration within a node: for a while, two rows have one name (law 1).

When Cinder has copied a volume to another back end it swaps the names of the two rows,
says that the volume is available, and deletes the source behind that. Both back ends
export by the same LIO.
"""

import contextlib
from typing import Any

import pytest
from cinder import objects
from cinder.exception import (
    CinderException,
    VolumeBackendAPIException,
    VolumeNotFound,
)
from cinder.volume.drivers import lvm

from taikun_cinder.access.guard import LookFirst
from taikun_cinder.exception import (
    AttachmentRefused,
    MigrationGivenUp,
    VolumeHeld,
    VolumeMigrates,
    VolumeShared,
)
from taikun_cinder.targets.lio.states import LioState
from tests.unit.cloud import A, B, Cloud
from tests.unit.memory import name_of


@pytest.fixture
def source(cloud, configure, volume_type):
    """Give the back end, on the same node, that volumes are migrated from."""
    source = Cloud(configure(volume_group="cinder-old").config_group, volume_type)
    yield source
    source.end_driver()


def _left_at(source, volume, status):
    """Give the row of the source of a migration that ended in another volume."""
    return source.volume(_name_id=volume, status=status, migration_status="deleting")


def test_deleting_the_source_takes_nothing_from_the_hosts_of_the_volume(cloud, source):
    volume = cloud.volume()
    left = _left_at(source, volume, "deleting")
    attached = cloud.attach(volume, A)
    source.driver.remove_export(source.context, source.load(left))
    assert attached.session.alive
    source.driver.delete_volume(source.load(left))
    cloud.reconcile()
    assert attached.session.alive
    cloud.detach(volume, attached)
    assert cloud.acls(volume) is None


def test_a_source_that_could_not_be_deleted_takes_nothing_either(cloud, source):
    volume = cloud.volume()
    _left_at(source, volume, "error_deleting")
    attached = cloud.attach(volume, A)
    source.reconcile()
    source.restart_driver()
    source.reconcile()
    assert attached.session.alive
    cloud.detach(volume, attached)
    source.reconcile()
    assert cloud.acls(volume) is None


def _reboot(cloud, volume):
    """Let the node come back without the volume's export."""
    cloud.target.kernel.put(LioState(name_of(cloud.load(volume))))


def _exported(cloud, volume):
    """Give the device that a volume is exported from."""
    found = cloud.target.kernel.read(name_of(cloud.load(volume))).backstore
    return None if found is None else found.device


@pytest.mark.parametrize("is_recorded", [True, False])
def test_after_a_reboot_hosts_get_the_volume_and_not_the_source(
    cloud, source, is_recorded
):
    """The source still has what was on the volume once, by the same name."""
    volume = cloud.volume()
    _left_at(source, volume, "error_deleting")
    cloud.attach(volume, A)
    _reboot(cloud, volume)
    if not is_recorded:
        cloud.record(volume).unlink()
    source.reconcile()
    assert _exported(cloud, volume) is None
    cloud.reconcile()
    assert _exported(cloud, volume) == f"/dev/cinder-volumes/volume-{volume}"


@pytest.mark.parametrize("is_recorded", [True, False])
def test_after_a_reboot_the_source_can_be_deleted(cloud, source, is_recorded):
    volume = cloud.volume()
    left = _left_at(source, volume, "deleting")
    cloud.attach(volume, A)
    _reboot(cloud, volume)
    if not is_recorded:
        cloud.record(volume).unlink()
    source.driver.remove_export(source.context, source.load(left))
    source.driver.delete_volume(source.load(left))
    cloud.reconcile()
    assert cloud.acls(volume) == {A["initiator"]}


def test_deleting_the_source_lets_nobody_in_who_is_detached(cloud, source, log):
    """What the volume's record says of a detach still counts for the volume."""
    volume = cloud.volume()
    left = _left_at(source, volume, "error_deleting")
    attached = cloud.attach(volume, A)
    cloud.terminate(volume, attached)
    source.driver.remove_export(source.context, source.load(left))
    source.reconcile()
    cloud.reconcile()
    assert cloud.acls(volume) is None
    assert "not believed" not in log.text


def test_deleting_the_source_removes_the_export_that_is_its_own(cloud, source):
    volume = cloud.volume()
    left = _left_at(source, volume, "error")
    session = source.connect_only(source.load(left), A)
    with pytest.raises(VolumeHeld, match=A["initiator"]):
        source.driver.delete_volume(source.load(left))
    assert session.alive
    session.logout()
    source.driver.delete_volume(source.load(left))
    assert source.acls(left) is None


def test_what_is_left_of_a_migration_is_not_deleted_if_it_is_the_volume(cloud):
    """Cinder was killed when it had given one of both rows the other's name."""
    worker = cloud.volume(migration_status="target:x")
    volume = cloud.volume(_name_id=worker)
    with pytest.raises(VolumeShared, match=f"same logical volume as volume {volume}"):
        cloud.driver.delete_volume(cloud.load(worker))
    cloud.driver.delete_volume(cloud.load(volume))
    cloud.load(volume).destroy()
    cloud.driver.delete_volume(cloud.load(worker))


@pytest.mark.parametrize("status", ["deleting", "error_deleting"])
def test_volume_that_came_back_to_where_its_source_was_left_is_not_deleted_by_that(
    cloud, status
):
    """The logical volume of the source was deleted, and its row could not be."""
    volume = cloud.volume()
    left = cloud.volume(_name_id=volume, status=status)
    with pytest.raises(VolumeShared, match=f"same logical volume as volume {volume}"):
        cloud.driver.delete_volume(cloud.load(left))
    cloud.driver.delete_volume(cloud.load(volume))
    cloud.load(volume).destroy()
    cloud.driver.delete_volume(cloud.load(left))


@pytest.mark.parametrize("status", ["deleting", "error_deleting", "available"])
def test_source_that_is_left_is_deleted_by_cinder_when_the_volume_is_gone(
    cloud, status
):
    """By Cinder's manager, which gives the rows of what fails another status."""
    volume = cloud.volume()
    left = cloud.volume(_name_id=volume, status=status, migration_status="deleting")
    for _ in range(2):
        with pytest.raises(VolumeShared):
            cloud.manager.delete_volume(cloud.context, cloud.load(left))
        assert cloud.load(left).status == "error_deleting"
    for one in volume, left:
        row = cloud.load(one)
        row.status = "deleting"
        row.save()
        cloud.manager.delete_volume(cloud.context, row)
        with pytest.raises(VolumeNotFound):
            cloud.load(one)


def test_both_volumes_of_a_migration_are_disconnected_by_the_one_connector(
    cloud, source
):
    volume, worker = source.volume(), cloud.volume(migration_status="target:x")
    # As manager._copy_volume_data: by RPC the connector is copied, here it is not.
    connector = dict(A)
    remote = cloud.connect_only(cloud.load(worker), connector)
    source.manager.initialize_connection(source.context, source.load(volume), connector)
    assert "taikun_cinder_connection" in connector
    remote.logout()
    cloud.manager.terminate_connection(cloud.context, worker, dict(connector))
    cloud.manager.remove_export(cloud.context, worker)
    assert cloud.acls(worker) is None
    source.manager.terminate_connection(source.context, volume, connector)
    source.manager.remove_export(source.context, volume)
    assert source.acls(volume) is None


def test_late_detach_of_a_server_takes_no_connection_of_another(cloud):
    volume = cloud.volume()
    first = cloud.attach(volume, A)
    marked = objects.VolumeAttachment.get_by_id(cloud.context, first.id).connector
    cloud.detach(volume, first)
    reserved = cloud.reserve(volume)
    cloud.manager.attachment_update(
        cloud.context, cloud.load(volume), dict(A), reserved.id
    )
    cloud.driver.terminate_connection(cloud.load(volume), marked)
    assert cloud.acls(volume) == {A["initiator"]}


# Servers that come to a volume while it migrates: Cinder lets them, unless the volume
# is locked for it, and what they write is in no copy.


@pytest.fixture
def together(cloud, monkeypatch):
    """Return a function that lets the driver do some requests in one batch."""
    exports = cloud.driver._exports

    def together(*requests):
        batch = []
        with monkeypatch.context() as patch:
            # Each is only collected, and so has no answer.
            patch.setattr(exports._attaches, "do", lambda _key, one: batch.append(one))
            for request in requests:
                with contextlib.suppress(TypeError):
                    request()
        assert len(batch) == len(requests)
        exports._attach(batch)

    return together


@pytest.fixture
def copied(monkeypatch):
    """Give what happens while the LVM driver copies, and where it is told of."""
    meanwhile: list[Any] = []

    def migrate(driver, context, volume, host):
        for one in meanwhile:
            one()
        return True, None

    monkeypatch.setattr(lvm.LVMVolumeDriver, "migrate_volume", migrate)
    return meanwhile


def _to(cloud, group="another"):
    """Give a back end of this node as Cinder's scheduler describes it."""
    where = f"LVMVolumeDriver:{cloud.driver.hostname}:{group}:default:0"
    return {"host": f"node@{group}#{group}", "capabilities": {"location_info": where}}


@pytest.mark.parametrize("of", ["another node", "no LVM", "a volume in use"])
def test_migration_that_the_driver_leaves_to_others_is_not_its_to_refuse(cloud, of):
    volume = cloud.volume()
    attached = cloud.attach(volume, A)
    row, to = cloud.load(volume), _to(cloud)
    if of == "a volume in use":
        row.status = "in-use"
    else:
        where = {"another node": "LVMVolumeDriver:x:y:default:0", "no LVM": "Other:z"}
        to["capabilities"]["location_info"] = where[of]
    assert cloud.driver.migrate_volume(cloud.context, row, to) == (False, None)
    assert attached.session.alive


def test_nobody_is_let_in_while_the_driver_copies(cloud, copied):
    volume = cloud.volume()

    def attach():
        with pytest.raises(VolumeBackendAPIException, match="is being migrated"):
            cloud.attach(volume, A)

    copied.append(attach)
    row = cloud.load(volume)
    assert cloud.driver.migrate_volume(cloud.context, row, _to(cloud)) == (True, None)
    assert cloud.acls(volume) is None
    assert cloud.connect(volume, A, cloud.reserve(volume)).session.alive


def test_a_volume_that_a_server_waits_for_is_not_copied(cloud, copied):
    volume = cloud.volume()
    row = cloud.load(volume)
    reserved = cloud.reserve(volume)
    with pytest.raises(MigrationGivenUp, match="it is reserved"):
        cloud.driver.migrate_volume(cloud.context, row, _to(cloud))
    assert cloud.connect(volume, A, reserved).session.alive


def test_export_that_nobody_uses_does_not_keep_the_driver_from_its_copy(cloud, copied):
    volume = cloud.volume()
    cloud.driver.initialize_connection(cloud.load(volume), dict(A))
    row = cloud.load(volume)
    cloud.driver.migrate_volume(cloud.context, row, _to(cloud))
    assert cloud.acls(volume) is None


def test_copy_by_a_host_is_given_up_if_a_server_came_and_went(cloud, source):
    volume = cloud.volume()
    row, worker = cloud.load(volume), source.load(source.volume())
    cloud.driver.before_volume_copy(cloud.context, row, worker)
    cloud.connect_only(row, B)
    attached = cloud.attach(volume, A)
    cloud.detach(volume, attached)
    with pytest.raises(MigrationGivenUp, match="connected while it was copied"):
        cloud.driver.after_volume_copy(cloud.context, row, worker)


def test_copy_by_a_host_is_given_up_if_a_server_came_together_with_cinder(
    cloud, source, together
):
    """Requests that wait for one lock are done together, here on one host."""
    volume = cloud.volume()
    row, worker = cloud.load(volume), source.load(source.volume())
    cloud.driver.before_volume_copy(cloud.context, row, worker)
    together(
        lambda: cloud.driver.initialize_connection(cloud.load(volume), dict(A)),
        lambda: cloud.driver.initialize_connection(cloud.load(volume), dict(A)),
    )
    with pytest.raises(MigrationGivenUp, match="connected while it was copied"):
        cloud.driver.after_volume_copy(cloud.context, row, worker)


def test_copy_by_a_host_is_done_if_only_cinder_was_there(cloud, source):
    volume = cloud.volume()
    row, worker = cloud.load(volume), source.load(source.volume())
    cloud.driver.before_volume_copy(cloud.context, row, worker)
    cloud.connect_only(row, A)
    cloud.driver.after_volume_copy(cloud.context, row, worker)


@pytest.mark.parametrize(
    "first", [LookFirst(), AttachmentRefused(volume="it", host="A", cause="a rule")]
)
def test_request_that_lets_nobody_in_gives_no_copy_up(
    cloud, source, monkeypatch, first
):
    volume = cloud.volume()
    row, worker = cloud.load(volume), source.load(source.volume())
    exports = cloud.driver._exports
    cloud.driver.before_volume_copy(cloud.context, row, worker)
    admit, ends = exports._admit, [first]

    def end_once(*arguments):
        if ends:
            raise ends.pop()
        return admit(*arguments)

    monkeypatch.setattr(exports, "_admit", end_once)
    monkeypatch.setattr(exports, "contents_of", lambda volume: None)
    with contextlib.suppress(CinderException):
        cloud.connect_only(row, B)
    if not cloud.acls(volume):
        cloud.connect_only(row, B)
    assert not ends
    cloud.driver.after_volume_copy(cloud.context, row, worker)


@pytest.mark.parametrize("hook", ["before_volume_copy", "after_volume_copy"])
def test_copy_by_a_host_is_given_up_if_a_server_waits(cloud, source, hook):
    volume = cloud.volume()
    row, worker = cloud.load(volume), source.load(source.volume())
    cloud.reserve(volume)
    with pytest.raises(MigrationGivenUp, match="it is reserved"):
        getattr(cloud.driver, hook)(cloud.context, row, worker)


def test_nobody_new_is_let_in_while_a_volume_gets_its_copy(cloud):
    volume = cloud.volume()
    attached = cloud.attach(volume, A)
    row = cloud.load(volume)
    row.migration_status = "completing"
    row.save()
    with pytest.raises(VolumeMigrates):
        cloud.driver.initialize_connection(cloud.load(volume), dict(B))
    cloud.connect(volume, A, attached)
    assert cloud.acls(volume) == {A["initiator"]}


@pytest.mark.parametrize(
    ("before", "renames"), [("available", False), ("in-use", True)]
)
def test_a_volume_that_a_server_came_to_gets_no_copy(
    cloud, source, monkeypatch, before, renames
):
    """Nova has the servers of one in use, and moves them itself."""
    monkeypatch.setattr(
        lvm.LVMVolumeDriver, "update_migrated_volume", lambda *arguments: {}
    )
    volume, worker = source.volume(), cloud.load(cloud.volume())
    row = source.load(volume)
    source.reserve(volume)
    arguments = cloud.context, row, worker, before
    if renames:
        assert cloud.driver.update_migrated_volume(*arguments) == {}
        return
    told = f"it is reserved; its copy is left as volume {worker.id}"
    with pytest.raises(MigrationGivenUp, match=told):
        cloud.driver.update_migrated_volume(*arguments)
    cloud.attach(worker.id, A)  # as Nova, which had a server to move to it
    assert cloud.driver.update_migrated_volume(*arguments) == {}
