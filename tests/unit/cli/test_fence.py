# SPDX-License-Identifier: Apache-2.0
"""A host that is fenced stays out until a new attachment is made, whatever happens."""

import dataclasses
import shutil

import pytest
from cinder import exception, objects

from taikun_cinder import locks
from taikun_cinder.cli.fence import FenceVerb
from taikun_cinder.exception import StepUnfinished, TargetBusy
from taikun_cinder.targets.lio.states import BackstoreState
from tests.unit.cli.conftest import GoneLock, backend_of
from tests.unit.cloud import A, B, move
from tests.unit.memory import name_of


@pytest.mark.parametrize("name", ["host", "initiator"])
def test_host_is_cut_off_and_others_go_on(cloud, fence, name):
    volume = cloud.volume()
    one, other = cloud.attach(volume, A), cloud.attach(volume, B)
    done = fence(volume, A[name].upper())
    assert done.status == 0
    (row,) = done.json
    assert (row["Volume"], row["Initiator"]) == (volume, A["initiator"])
    assert (row["Had access"], row["Was logged in"]) == (True, True)
    assert "volume attachment list" in done.complaints
    assert not one.session.alive
    assert other.session.alive
    assert cloud.acls(volume) == {B["initiator"]}


def test_no_reconcile_no_restart_and_no_lapse_of_time_lets_it_in(cloud, fence):
    volume = cloud.volume()
    cloud.attach(volume, A)
    cloud.attach(volume, B)
    assert fence(volume, A["host"]).status == 0
    cloud.pass_often()
    cloud.restart_driver()
    cloud.pass_often()
    cloud.driver.ensure_export(cloud.context, cloud.load(volume))
    assert cloud.acls(volume) == {B["initiator"]}


def test_others_come_and_go_meanwhile(cloud, fence):
    volume = cloud.volume()
    cloud.attach(volume, A)
    fence(volume, A["host"])
    other = cloud.attach(volume, B)
    assert cloud.acls(volume) == {B["initiator"]}
    cloud.detach(volume, other)
    assert not cloud.acls(volume)


def test_its_attachment_lets_it_in_no_more(cloud, fence):
    """As a hard reboot of a server asks, with the same attachment."""
    volume = cloud.volume()
    attached = cloud.attach(volume, A)
    fence(volume, A["host"])
    with pytest.raises(exception.CinderException, match=attached.id):
        cloud.connect(volume, A, attached)
    assert not cloud.acls(volume)
    cloud.pass_often()
    assert not cloud.acls(volume)


def test_new_attachment_lets_it_in_again_and_its_end_out(cloud, fence):
    volume = cloud.volume()
    cloud.attach(volume, A)
    fence(volume, A["host"])
    new = cloud.attach(volume, A)
    assert new.session.alive
    cloud.pass_often()
    assert new.session.alive
    cloud.detach(volume, new)
    cloud.pass_often()
    assert not cloud.acls(volume)


def test_fence_is_forgotten_when_its_attachments_are_deleted(cloud, fence):
    volume = cloud.volume()
    attached = cloud.attach(volume, A)
    cloud.attach(volume, B)
    fence(volume, A["host"])
    folder = cloud.record(volume).parent / "fences"
    assert list(folder.rglob("*.json"))
    cloud.detach(volume, attached)
    cloud.reconcile()
    assert not list(folder.rglob("*.json"))
    assert cloud.attach(volume, A).session.alive


def test_fenced_writer_no_longer_keeps_a_standby_from_writing(cloud, fence):
    volume = cloud.volume(**cloud.volume_type(secondary_mode="ro"))
    cloud.attach(volume, A)
    fence(volume, A["host"])
    assert cloud.attach(volume, B).writes()


def test_without_the_database_it_is_cut_off_and_stays_out(cloud, fence, down):
    volume = cloud.volume()
    one, other = cloud.attach(volume, A), cloud.attach(volume, B)
    down(True)
    done = fence(volume, A["host"])
    assert done.status == 0
    assert "database cannot be read" in done.complaints
    assert not one.session.alive
    assert other.session.alive
    down(False)
    cloud.pass_often()
    assert cloud.acls(volume) == {B["initiator"]}
    with pytest.raises(exception.CinderException):
        cloud.connect(volume, A, one)
    cloud.pass_often()
    assert cloud.acls(volume) == {B["initiator"]}


def test_attach_that_was_answered_just_before_counts_to_what_is_fenced(
    cloud, fence, down
):
    """Its row gets the connector after the fence, and the database is down."""
    volume = cloud.volume()
    reserved = cloud.reserve(volume)
    connector = dict(A)
    cloud.driver.initialize_connection(cloud.load(volume), connector)
    down(True)
    assert fence(volume, A["host"]).status == 0
    down(False)
    row = objects.VolumeAttachment.get_by_id(cloud.context, reserved.id)
    row.update({"connector": connector, "attach_status": "attached"})
    row.save()
    cloud.pass_often()
    assert not cloud.acls(volume)


def test_operation_that_hangs_does_not_hold_it_up(cloud, fence, monkeypatch):
    volume = cloud.volume()
    attached = cloud.attach(volume, A)
    monkeypatch.setattr("taikun_cinder.cli.fence._PATIENCE", 0.1)
    with locks.of_volume(cloud.load(volume)):
        done = fence(volume, A["host"])
        assert not attached.session.alive
    assert done.status == 1
    assert "under way" in done.complaints
    assert "repeat this" in done.complaints
    cloud.pass_often()
    assert not cloud.acls(volume)


@pytest.mark.parametrize("standing", ["attach", "reconcile"])
def test_fence_beside_an_operation_whose_lock_ran_out_holds(
    cloud, fence, monkeypatch, standing
):
    volume = cloud.volume()
    cloud.attach(volume, A)
    cloud.attach(volume, B)
    ensure, done = cloud.target.ensure, []

    def stands_still(*arguments, **named):
        monkeypatch.setattr(cloud.target, "ensure", ensure)
        done.append(fence(volume, A["host"]))
        return ensure(*arguments, **named)

    monkeypatch.setattr(locks, "of", lambda name_id: GoneLock())
    monkeypatch.setattr(cloud.target, "ensure", stands_still)
    if standing == "attach":
        cloud.attach(volume, B)
    else:
        cloud.reconcile()
    assert done[0].status == 0
    assert cloud.acls(volume) == {B["initiator"]}
    cloud.pass_often()
    assert cloud.acls(volume) == {B["initiator"]}


def test_kernel_that_does_not_come_back_is_told_with_what_to_do(
    cloud, fence, monkeypatch
):
    volume = cloud.volume()
    cloud.attach(volume, A)

    def revoke(name, initiator):
        raise StepUnfinished(target=name, step=initiator, cause="it hangs")

    with monkeypatch.context() as patch:
        patch.setattr(cloud.target, "revoke", revoke)
        done = fence(volume, A["host"])
    assert done.status == 1
    assert "may have access still" in done.complaints
    assert "cut its power" in done.complaints
    cloud.reconcile()
    assert not cloud.acls(volume)


def test_target_that_is_busy_is_fenced_as_soon_as_it_is_not(cloud, fence, monkeypatch):
    volume = cloud.volume()
    cloud.attach(volume, A)

    def busy(name, *_more, **_other):
        raise TargetBusy(target=name, cause="the disk hangs")

    with monkeypatch.context() as patch:
        for call in "names", "read", "revoke", "ensure":
            patch.setattr(cloud.target, call, busy)
        done = fence(volume, A["host"])
    assert done.status == 1
    assert "may have access still" in done.complaints
    cloud.reconcile()
    assert not cloud.acls(volume)


def test_fence_that_cannot_be_written_down_cuts_off_and_says_so(cloud, fence):
    volume = cloud.volume()
    attached = cloud.attach(volume, A)
    folder = cloud.record(volume).parent / "fences"
    folder.write_text("no folder")
    done = fence(volume, A["host"])
    assert done.status == 1
    assert "cannot be written down" in done.complaints
    assert not attached.session.alive


def test_copy_of_another_volumes_record_lets_it_cut_off_nobody_there(cloud, fence):
    volume, other = cloud.volume(), cloud.volume()
    meant, spared = cloud.attach(volume, A), cloud.attach(other, A)
    shutil.copy(cloud.record(other), cloud.record(volume))
    assert fence(volume, A["initiator"]).status == 0
    assert not meant.session.alive
    assert spared.session.alive


def test_copies_of_its_own_record_do_not_hide_it(cloud, fence):
    volume = cloud.volume()
    cloud.detach(volume, cloud.attach(volume, B))
    for _ in range(6):
        shutil.copy(cloud.record(volume), cloud.record(cloud.volume()))
    meant = cloud.attach(volume, A)
    assert fence(volume, A["initiator"]).status == 0
    assert not meant.session.alive


def test_fence_that_cannot_be_read_stops_no_volume(cloud, fence, log):
    volume = cloud.volume()
    cloud.attach(volume, A)
    fence(volume, A["host"])
    (file,) = (cloud.record(volume).parent / "fences").rglob("*.json")
    file.write_text("{")
    cloud.reconcile()
    assert str(file) in log.text
    assert cloud.attach(volume, B).session.alive


def test_lost_rows_and_their_return_do_not_let_it_in(cloud, fence):
    volume, elsewhere = cloud.volume(), cloud.volume()
    attached = cloud.attach(volume, A)
    move(attached, elsewhere)
    fence(volume, A["host"])
    cloud.reconcile()
    move(attached, volume)
    cloud.pass_often()
    assert not cloud.acls(volume)


def test_lifted_fence_lets_it_in_by_what_it_has(cloud, fence):
    volume = cloud.volume()
    cloud.attach(volume, A)
    fence(volume, A["host"])
    cloud.pass_often()
    done = fence(volume, A["host"], "--lift")
    assert done.status == 0
    assert done.json[0]["Has access"] is True
    assert cloud.acls(volume) == {A["initiator"]}


def test_host_that_has_nothing_is_kept_out_by_its_initiator(cloud, fence):
    volume = cloud.volume()
    cloud.attach(volume, B)
    done = fence(volume, A["initiator"])
    assert done.status == 1  # it may be misspelt, and its own has the disk still
    assert "It is fenced all the same, and nobody else" in done.complaints
    assert done.json[0]["Had access"] is False
    assert cloud.attach(volume, A).session.alive  # by a new attachment


def test_lift_of_a_name_that_nobody_knows_is_no_fence(cloud, fence):
    volume = cloud.volume()
    writer = cloud.attach(volume, B)
    fence(volume, B["initiator"])
    done = fence(volume, A["initiator"], "--lift")
    assert done.status == 1
    assert "is fenced" not in done.complaints
    assert "is kept out still" in done.complaints
    assert not writer.session.alive


def test_unknown_host_is_told_with_those_that_there_are(cloud, fence):
    volume = cloud.volume()
    attached = cloud.attach(volume, A)
    done = fence(volume, "compute9")
    assert done.status == 2
    assert f"{A['host']} ({A['initiator']})" in done.complaints
    assert attached.session.alive


def test_unknown_volume_is_told(fence):
    done = fence("nothing", A["host"])
    assert done.status == 2
    assert "there is no volume nothing" in done.complaints


def test_deleted_volume_leaves_no_fence_behind(cloud, fence):
    volume = cloud.volume()
    attached = cloud.attach(volume, A)
    fence(volume, A["host"])
    cloud.detach(volume, attached)
    cloud.driver.vg.volumes.add(cloud.load(volume).name)
    cloud.driver._exports.forget(cloud.load(volume))
    assert not list((cloud.record(volume).parent / "fences").iterdir())


def test_it_is_shown(cloud, fence, command):
    volume = cloud.volume()
    cloud.attach(volume, A)
    fence(volume, A["host"])
    backend = backend_of(cloud)
    done = command("volume", "show", volume, "-f", "json", found=[backend])
    (use,) = done.json["uses"]
    assert use["enforced"] == "none"
    assert use["remark"].startswith("fenced by an operator")
    assert command("audit", found=[backend]).status == 0
    assert name_of(cloud.load(volume))
    assert FenceVerb.EXAMPLE


def _in_by_a_former_name(cloud, volume):
    """Let A be in by a name that the volume has no more, and B by its new one."""
    attached, elsewhere = cloud.attach(volume, A), cloud.volume()
    move(attached, elsewhere)
    cloud.restart_driver()
    cloud.record(volume).unlink()
    object.__setattr__(cloud.driver._layout, "prefix", "iqn.2030-01.example:")
    reserved = cloud.reserve(volume)
    cloud.manager.attachment_update(
        cloud.context, cloud.load(volume), dict(B), reserved.id
    )
    move(attached, volume)
    cloud.reconcile()
    return attached.session


@pytest.mark.parametrize("name", ["host", "initiator"])
def test_host_is_cut_off_at_an_export_under_a_former_name_too(cloud, fence, name):
    volume = cloud.volume()
    session = _in_by_a_former_name(cloud, volume)
    assert session.alive
    done = fence(volume, A[name])
    assert not session.alive
    (row,) = done.json
    assert (row["Had access"], row["Was logged in"]) == (True, True)
    assert done.status == 0
    cloud.pass_often()
    assert all(
        A["initiator"] not in map(str, cloud.target.read(one).hosts)
        for one in cloud.target.names("")
    )


def test_former_name_that_cannot_be_seen_is_told(cloud, fence, monkeypatch):
    volume = cloud.volume()
    session = _in_by_a_former_name(cloud, volume)
    former, read = name_of(cloud.load(volume)), cloud.target.read

    def unseen(name):
        if name == former:
            raise TargetBusy(target=name, cause="the disk hangs")
        return read(name)

    with monkeypatch.context() as patch:
        patch.setattr(cloud.target, "read", unseen)
        done = fence(volume, A["host"])
    assert done.status == 1
    assert f"it cannot be seen whether {former} exports" in done.complaints
    assert session.alive


def test_export_of_another_group_by_such_a_name_is_let_be(cloud, fence):
    volume = cloud.volume()
    attached, named = cloud.attach(volume, A), cloud.load(volume).name
    other = f"iqn.2030-01.example:{named}"
    shown = cloud.target.kernel.read(name_of(cloud.load(volume)))
    backstore = BackstoreState(f"/dev/another/{named}", "another", active=True)
    cloud.target.kernel.put(dataclasses.replace(shown, name=other, backstore=backstore))
    assert fence(volume, A["host"]).status == 0
    assert not attached.session.alive
    assert A["initiator"] in map(str, cloud.target.read(other).hosts)
