# SPDX-License-Identifier: Apache-2.0
"""A database that lost rows takes no live host's disk before somebody looked."""

import uuid

import pytest
from cinder import context, exception, objects

from taikun_cinder.access.model import Mode
from taikun_cinder.cinder_db import api as db
from taikun_cinder.cinder_db import models
from tests.unit.cloud import A, B, Host, lose, move
from tests.unit.memory import name_of

HOSTS = [Host(f"compute{number}").connector for number in range(5)]


def test_row_that_is_missing_once_cuts_nobody_off(cloud, log):
    volume = cloud.volume()
    attached = cloud.attach(volume, A)
    lose(attached)
    cloud.reconcile()
    assert attached.session.alive
    assert A["initiator"] in log.text
    assert volume in log.text


def test_row_that_was_missing_before_it_was_seen_is_missed_by_the_next_attach(cloud):
    """As by a copy of the database that lags behind."""
    volume = cloud.volume()
    attached = cloud.attach(volume, A)
    lose(attached)
    cloud.reconcile()
    another = cloud.attach(volume, A, mode="ro")
    assert attached.writes()
    cloud.detach(volume, another)
    assert attached.writes()
    cloud.reconcile()
    cloud.reconcile()
    assert not attached.session.alive


def test_row_that_is_missing_twice_ends_the_access(cloud):
    volume = cloud.volume()
    lost, other = cloud.attach(volume, A), cloud.attach(volume, B)
    lose(lost)
    cloud.reconcile()
    cloud.reconcile()
    assert not lost.session.alive
    assert other.session.alive


def test_row_that_comes_back_begins_anew(cloud):
    volume = cloud.volume()
    attached, elsewhere = cloud.attach(volume, A), cloud.volume()
    for now in (elsewhere, volume, elsewhere):
        move(attached, now)
        cloud.reconcile()
    assert attached.session.alive
    cloud.reconcile()
    assert not attached.session.alive


def test_host_that_is_not_logged_in_loses_its_access_at_once(cloud):
    volume = cloud.volume()
    attached = cloud.attach(volume, A)
    attached.session.logout()
    lose(attached)
    cloud.reconcile()
    assert cloud.acls(volume) is None


@pytest.mark.options(taikun_max_revocations=3)
def test_many_at_once_keep_their_access_until_it_is_confirmed(cloud, log):
    first, second = cloud.volume(), cloud.volume()
    attached = [cloud.attach(first, host) for host in HOSTS[:2]]
    attached += [cloud.attach(second, host) for host in HOSTS[2:4]]
    lose(*attached)
    for _ in range(4):
        cloud.reconcile()
    assert all(one.session.alive for one in attached)
    [*_, told] = [
        record.message for record in log.records if record.levelname == "ERROR"
    ]
    for volume in (first, second):
        assert volume in told
    for host in HOSTS[:4]:
        assert host["initiator"] in told
    assert "taikun-cinder reconcile --yes" in told
    cloud.driver._reconcile.once(confirmed=True)
    assert not any(one.session.alive for one in attached)
    assert cloud.target.names("") == frozenset()


def test_what_is_held_back_does_not_keep_other_things_from_being_put_right(cloud):
    volume, other = cloud.volume(), cloud.volume()
    attached = [cloud.attach(volume, host) for host in HOSTS]
    fine = cloud.attach(other, A)
    lose(*attached)
    for _ in range(3):
        cloud.reconcile()
    new = cloud.attach(volume, B)
    assert new.session.alive
    assert attached[0].session.alive
    cloud.detach(other, fine)
    assert cloud.acls(other) is None


def test_empty_database_ends_and_removes_nothing(cloud, log):
    volume = cloud.volume()
    attached = cloud.attach(volume, A)
    with db.main_context_manager.writer.using(context.get_admin_context()) as session:
        for table in (models.VolumeAttachment, models.Volume, models.Service):
            session.query(table).delete()
    for _ in range(4):
        cloud.reconcile()
    assert attached.session.alive
    assert cloud.record(volume).exists()
    assert "does not have the row of this service" in log.text


def test_request_for_one_host_takes_nothing_from_one_whose_row_is_missing(cloud):
    volume = cloud.volume()
    lost, other = cloud.attach(volume, A), cloud.attach(volume, B)
    lose(lost)
    cloud.detach(volume, other)
    assert lost.session.alive
    assert not other.session.alive


def test_host_whose_row_cinder_has_deleted_is_cut_off_by_the_next_request(cloud):
    volume = cloud.volume()
    gone, other = cloud.attach(volume, A), cloud.attach(volume, B)
    cloud.forget(volume, gone)
    cloud.driver.remove_export(cloud.context, cloud.load(volume))
    assert not gone.session.alive
    assert other.session.alive


def test_pair_of_a_deleted_row_does_not_speak_for_a_missing_one(cloud):
    volume = cloud.volume()
    first, lost = cloud.attach(volume, A), cloud.attach(volume, A)
    cloud.reconcile()
    cloud.detach(volume, first)
    lose(lost)
    other = cloud.attach(volume, B)
    assert lost.session.alive
    cloud.detach(volume, other)
    assert lost.session.alive


@pytest.mark.options(taikun_max_revocations=1)
def test_rows_that_cinder_has_deleted_need_no_confirmation(cloud, log):
    volume = cloud.volume()
    gone = [cloud.attach(volume, host) for host in HOSTS[:4]]
    stays = cloud.attach(volume, HOSTS[4])
    cloud.reconcile()
    for attached in gone:  # as os-reset_status does
        cloud.forget(volume, attached)
    cloud.reconcile()
    assert not any(attached.session.alive for attached in gone)
    assert stays.session.alive
    assert "taikun_max_revocations" not in log.text


def test_clone_does_not_get_in_behind_a_host_whose_row_is_missing(cloud):
    volume = cloud.volume()
    original = A | {"ip": "192.0.2.1", "system uuid": str(uuid.UUID(int=1))}
    clone = A | {"ip": "192.0.2.2", "system uuid": str(uuid.UUID(int=2)), "host": "b"}
    lost = cloud.attach(volume, original)
    cloud.reconcile()
    lose(lost)
    cloud.reconcile()
    reserved = cloud.reserve(volume)
    with pytest.raises(exception.VolumeBackendAPIException, match="compute1"):
        cloud.connect(volume, clone, reserved)
    assert lost.session.alive
    cloud.reconcile()
    assert cloud.connect(volume, clone, reserved).session.alive
    # Where Cinder says that it has deleted the row, the original is gone.
    cloud.reconcile()
    cloud.forget(volume, reserved)
    again = cloud.attach(volume, original)
    assert again.information["auth_password"] != lost.information["auth_password"]
    assert again.information["auth_password"] != reserved.information["auth_password"]


@pytest.mark.parametrize(("lost", "other"), [(0, 1), (1, 0)])
def test_host_with_a_row_left_keeps_what_the_missing_one_gave_it(cloud, lost, other):
    volume = cloud.volume()
    both = cloud.attach(volume, A, "rw"), cloud.attach(volume, A, "ro")
    cloud.reconcile()
    lose(both[lost])
    cloud.reconcile()
    shown = cloud.target.read(name_of(cloud.load(volume))).hosts
    (state,) = shown.values()
    assert (state.mode, state.readers_disk) == (Mode.RW, True)
    cloud.reconcile()
    (state,) = cloud.target.read(name_of(cloud.load(volume))).hosts.values()
    # What it may not write to any more, it may read until it logs out.
    left = [(Mode.RO, True), (Mode.RW, False)][lost]
    assert (state.mode, state.readers_disk) == left
    assert both[other].session.alive


def test_ended_attachment_does_not_speak_for_a_missing_one(cloud):
    volume = cloud.volume()
    ended, lost = cloud.attach(volume, A), cloud.attach(volume, A)
    cloud.reconcile()
    cloud.terminate(volume, ended)
    lose(lost)
    cloud.reconcile()
    assert lost.session.alive
    cloud.reconcile()
    assert not lost.session.alive


@pytest.mark.options(taikun_max_revocations=3)
def test_loss_that_goes_on_during_a_pass_is_counted_whole(cloud):
    volumes = [cloud.volume() for _ in range(3)]
    attached = [cloud.attach(one, host) for one in volumes for host in HOSTS[:3]]
    lose(*attached[:3])
    cloud.reconcile()
    lose(*attached[3:])
    for _ in range(2):
        cloud.reconcile()
    assert all(one.session.alive for one in attached)


@pytest.mark.options(taikun_max_revocations=1)
def test_attachments_that_moved_to_another_host_need_no_confirmation(cloud):
    volumes = [cloud.volume() for _ in range(3)]
    attached = [cloud.attach(one, A) for one in volumes]
    old = [one.session for one in attached]
    cloud.watch()
    for volume, one in zip(volumes, attached, strict=True):
        cloud.connect(volume, B, one)
    for _ in range(2):
        cloud.wait(400)
        cloud.reconcile()
    assert not any(session.alive for session in old)
    assert all(one.session.alive for one in attached)


def test_detach_without_a_connector_ends_what_the_rows_do_not_show_too(cloud):
    volume = cloud.volume()
    lost, other = cloud.attach(volume, A), cloud.attach(volume, B)
    lose(lost)
    cloud.driver.terminate_connection(cloud.load(volume), None, force=True)
    assert not lost.session.alive
    assert not other.session.alive


def _as_before_its_connector(attached):
    """Let a row be as it was once; a shelved server's is so for days."""
    columns = dict.fromkeys(("connector", "connection_info", "attached_host"))
    with db.main_context_manager.writer.using(context.get_admin_context()) as session:
        rows = session.query(models.VolumeAttachment).filter_by(id=attached.id)
        rows.update({**columns, "attach_status": "reserved"})


@pytest.mark.options(taikun_max_revocations=1)
def test_rows_that_lost_their_connectors_are_missing_ones(cloud, log):
    volume = cloud.volume()
    attached = [cloud.attach(volume, host) for host in HOSTS]
    cloud.watch()
    cloud.reconcile()
    for one in attached:
        _as_before_its_connector(one)
    cloud.reconcile()
    cloud.reconcile()
    assert all(one.session.alive for one in attached)


def test_row_that_lost_its_connector_is_missing_for_a_request_too(cloud):
    volume = cloud.volume()
    first = cloud.attach(volume, A)
    cloud.watch()
    cloud.reconcile()
    _as_before_its_connector(first)
    second = cloud.attach(volume, B)
    assert second.session.alive
    assert first.session.alive


@pytest.mark.parametrize("force", [False, True])
def test_detach_of_one_server_leaves_a_missing_one_of_its_host_to_the_brake(
    cloud, force
):
    volume = cloud.volume()
    first, lost = cloud.attach(volume, A), cloud.attach(volume, A)
    cloud.watch()
    cloud.reconcile()
    lose(lost)
    row = objects.VolumeAttachment.get_by_id(cloud.context, first.id)
    cloud.driver.terminate_connection(cloud.load(volume), row.connector, force=force)
    cloud.forget(volume, first)
    assert lost.session.alive
    cloud.reconcile()
    cloud.reconcile()
    assert not lost.session.alive


def test_detach_leaves_a_row_that_lost_its_connector_to_the_brake(cloud):
    volume = cloud.volume()
    first, lost = cloud.attach(volume, A), cloud.attach(volume, A)
    cloud.watch()
    cloud.reconcile()
    _as_before_its_connector(lost)
    cloud.detach(volume, first)
    assert lost.session.alive
    cloud.reconcile()
    cloud.reconcile()
    assert not lost.session.alive


def _another_comes(cloud, volume):
    cloud.attach(volume, B)


def _another_comes_and_goes(cloud, volume):
    cloud.detach(volume, cloud.attach(volume, B))


def _a_pass(cloud, volume):
    cloud.reconcile()


@pytest.mark.parametrize("event", [_another_comes, _another_comes_and_goes, _a_pass])
@pytest.mark.parametrize("mode", ["rw", "ro"])
def test_missing_row_is_not_forgotten_before_the_brake_has_seen_it(cloud, event, mode):
    volume = cloud.volume()
    first, lost = cloud.attach(volume, A, mode), cloud.attach(volume, A, mode)
    cloud.watch()
    cloud.reconcile()
    lose(lost)
    event(cloud, volume)
    cloud.detach(volume, first)
    assert lost.session.alive


def _purge(attached):
    """Take a deleted row out of the database, as cinder-manage db purge does."""
    with db.main_context_manager.writer.using(context.get_admin_context()) as session:
        rows = session.query(models.VolumeAttachment).filter_by(id=attached.id)
        assert rows.filter_by(deleted=True).delete()


@pytest.mark.options(taikun_reconcile_interval=0)
def test_detach_of_the_last_server_holds_after_a_purge(cloud):
    volume = cloud.volume()
    first, last = cloud.attach(volume, A), cloud.attach(volume, A)
    cloud.watch()
    cloud.detach(volume, first)
    _purge(first)
    cloud.detach(volume, last)
    assert not last.session.alive
    assert cloud.acls(volume) is None


@pytest.mark.parametrize("confirmed", [True, False])
def test_detach_holds_long_after_a_restored_database_was_accepted(cloud, confirmed):
    volume = cloud.volume()
    first = [cloud.attach(volume, host) for host in HOSTS]
    lost = [cloud.attach(volume, host) for host in HOSTS]
    cloud.watch()
    cloud.reconcile()
    lose(*lost)
    if confirmed:
        cloud.driver._reconcile.once(confirmed=True)
    else:
        cloud.reconcile()
        cloud.reconcile()
    for one in first:
        cloud.detach(volume, one)
    assert not [one for one in first if one.session.alive]


@pytest.mark.parametrize("passes", [0, 1])
def test_missing_row_is_not_accepted_in_one_pass(cloud, passes):
    volume = cloud.volume()
    first, lost = cloud.attach(volume, A), cloud.attach(volume, A)
    cloud.watch()
    cloud.reconcile()
    lose(lost)
    for _ in range(passes):
        cloud.reconcile()
    cloud.detach(volume, first)
    assert lost.session.alive
