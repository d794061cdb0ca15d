# SPDX-License-Identifier: Apache-2.0
"""A request to attach that is carried out when its attachment is over."""

import uuid

import pytest
from cinder import exception, objects

from taikun_cinder.exception import AttachmentGone
from tests.unit.cloud import A, B, Host, lose, spoil

C = Host("compute3").connector

#: What Nova's and Cinder's clients add to a connector, and Cinder's manager.
NAMES = [
    {"mountpoint": "/dev/vdb"},
    {"mountpoint": None},
    {"mode": "rw"},
    {"mode": None},
]


def _attach_late(cloud, volume, connector, attached):
    with pytest.raises(exception.VolumeBackendAPIException, match="gets no access"):
        cloud.connect(volume, connector, attached)


def _sent_before(cloud, volume, attached):
    """Give the volume as Cinder read it before there was an attachment."""
    sent = cloud.load(volume)
    rows = sent.volume_attachment.objects
    rows[:] = [row for row in rows if row.id != attached.id]
    return sent


@pytest.mark.parametrize("named", NAMES)
def test_reserved_row_that_was_deleted_lets_nobody_in(cloud, meanwhile, named):
    volume = cloud.volume()
    other = cloud.attach(volume, B)
    waiting = cloud.reserve(volume)
    meanwhile(lambda: cloud.forget(volume, waiting))
    _attach_late(cloud, volume, A | named, waiting)
    assert cloud.acls(volume) == {B["initiator"]}
    assert other.session.alive


@pytest.mark.parametrize("how", ["deleted", "not in the database"])
def test_the_only_row_that_is_gone_leaves_no_export(cloud, meanwhile, how):
    volume = cloud.volume()
    waiting = cloud.reserve(volume)
    gone = {"deleted": lambda: cloud.forget(volume, waiting)}
    meanwhile(gone.get(how, lambda: lose(waiting)))
    _attach_late(cloud, volume, A | NAMES[0], waiting)
    assert cloud.acls(volume) is None
    assert not cloud.record(volume).exists()


@pytest.mark.parametrize("ends", ["terminate", "detach", "force_detach"])
def test_repeated_attach_that_a_detach_overtook_lets_nobody_in(cloud, meanwhile, ends):
    volume = cloud.volume()
    other = cloud.attach(volume, B)
    attached = cloud.attach(volume, A | NAMES[0])
    more = [A] if ends == "force_detach" else []
    meanwhile(lambda: getattr(cloud, ends)(volume, attached, *more))
    _attach_late(cloud, volume, A | NAMES[0], attached)
    assert cloud.acls(volume) == {B["initiator"]}
    assert not attached.session.alive
    assert other.session.alive


def test_attach_after_a_detach_whose_row_stayed_lets_its_host_in(cloud):
    volume = cloud.volume()
    attached = cloud.attach(volume, A | NAMES[0])
    cloud.terminate(volume, attached)
    cloud.wait(1)
    assert cloud.connect(volume, A | NAMES[0], attached).session.alive


def test_detach_of_another_server_meanwhile_is_no_hindrance(cloud, meanwhile):
    volume = cloud.volume()
    going, coming = cloud.attach(volume, A | NAMES[0]), cloud.reserve(volume)
    meanwhile(lambda: cloud.detach(volume, going))
    cloud.connect(volume, A | NAMES[0], coming)
    assert coming.session.alive


def test_repeated_attach_of_another_server_there_is_no_hindrance(cloud, meanwhile):
    volume = cloud.volume()
    going = cloud.attach(volume, A | NAMES[0])
    staying = cloud.attach(volume, A | NAMES[0])
    meanwhile(lambda: cloud.detach(volume, going))
    cloud.connect(volume, A | NAMES[0], staying)
    assert staying.session.alive


def test_row_that_came_with_its_connector_and_was_deleted_lets_nobody_in(
    cloud, meanwhile
):
    volume = cloud.volume()
    cloud.attach(volume, B)
    made = cloud.reserve(volume, mode=None)
    sent = _sent_before(cloud, volume, made)
    meanwhile(lambda: cloud.forget(volume, made))
    with pytest.raises(exception.VolumeBackendAPIException, match="gets no access"):
        cloud.manager.attachment_update(cloud.context, sent, dict(A), made.id)
    assert cloud.acls(volume) == {B["initiator"]}


@pytest.mark.parametrize("mode", ["null", "rw", "ro"])
def test_row_of_one_host_may_be_given_to_another(cloud, mode):
    volume = cloud.volume()
    cloud.attach(volume, B)
    moved = cloud.attach(volume, A | NAMES[0], mode)
    cloud.connect(volume, B | NAMES[0], moved)
    assert moved.session.alive


def test_row_can_be_given_to_another_host_at_the_second_try(cloud, meanwhile):
    volume = cloud.volume()
    going, moved = cloud.attach(volume, B), cloud.attach(volume, A | NAMES[0])
    cloud.detach(volume, going)
    going = cloud.attach(volume, A | NAMES[0])
    meanwhile(lambda: cloud.detach(volume, going))
    _attach_late(cloud, volume, B | NAMES[0], moved)
    assert cloud.connect(volume, B | NAMES[0], moved).session.alive


def test_row_without_a_host_may_be_the_one_that_is_meant(cloud):
    volume = cloud.volume()
    cloud.os_attach(volume, B)
    cloud.driver.initialize_connection(cloud.load(volume), A | NAMES[0])
    assert A["initiator"] in cloud.acls(volume)


@pytest.mark.parametrize("status", ["available", "in-use", "attaching", "backing-up"])
def test_connection_that_names_no_attachment_needs_none(cloud, status):
    volume = cloud.volume(status=status)
    cloud.driver.initialize_connection(cloud.load(volume), dict(A))
    assert cloud.acls(volume) == {A["initiator"]}


@pytest.mark.parametrize("status", ["available", "in-use", "attaching"])
@pytest.mark.parametrize("named", NAMES[:3])
def test_old_api_may_name_what_an_attachment_has(cloud, status, named):
    """The volume had no attachment when it was sent, so there is none to wait for."""
    volume = cloud.volume(status=status)
    cloud.driver.initialize_connection(cloud.load(volume), A | named)
    assert cloud.acls(volume) == {A["initiator"]}


@pytest.mark.parametrize("named", NAMES)
def test_request_for_an_attachment_needs_one_where_nobody_told(cloud, named):
    volume = cloud.volume(status="reserved")
    sent = cloud.load(volume)
    del sent._obj_volume_attachment
    with pytest.raises(AttachmentGone, match="compute1"):
        cloud.driver.initialize_connection(sent, A | named)
    assert cloud.acls(volume) is None


@pytest.mark.parametrize("host", [A, B, None])
def test_row_that_was_made_later_is_not_the_one_that_is_meant(cloud, monkeypatch, host):
    volume = cloud.volume()
    waiting, attach = cloud.reserve(volume), cloud.driver._exports.attach
    others = []

    def go_on(request):
        monkeypatch.setattr(cloud.driver._exports, "attach", attach)
        cloud.forget(volume, waiting)
        others.append(cloud.attach(volume, host) if host else cloud.reserve(volume))
        return attach(request)

    monkeypatch.setattr(cloud.driver._exports, "attach", go_on)
    _attach_late(cloud, volume, A | NAMES[0], waiting)
    assert cloud.acls(volume) == ({host["initiator"]} if host else None)
    if host:
        cloud.detach(volume, *others)
        assert cloud.acls(volume) is None


def test_row_that_another_replica_did_not_show_is_the_one_that_is_meant(cloud):
    volume = cloud.volume()
    cloud.attach(volume, B)
    waiting = cloud.reserve(volume)
    sent = _sent_before(cloud, volume, waiting)
    cloud.manager.attachment_update(cloud.context, sent, A | NAMES[0], waiting.id)
    assert cloud.acls(volume) == {A["initiator"], B["initiator"]}


@pytest.mark.parametrize("mode", ["rw", "ro"])
@pytest.mark.parametrize("end", ["detach", "force_detach"])
def test_other_server_of_the_host_is_not_the_one_that_is_meant(
    cloud, meanwhile, end, mode
):
    volume = cloud.volume()
    cloud.attach(volume, B)
    other = cloud.attach(volume, A | NAMES[0], mode)
    cloud.watch(1)
    waiting = cloud.reserve(volume)
    meanwhile(lambda: cloud.forget(volume, waiting))
    _attach_late(cloud, volume, A | {"mountpoint": "/dev/vdc"}, waiting)
    assert other.writes() is (mode == "rw")
    more = [{"initiator": A["initiator"]}] if end == "force_detach" else []
    getattr(cloud, end)(volume, other, *more)
    assert cloud.acls(volume) == {B["initiator"]}
    assert not other.session.alive


@pytest.mark.parametrize("later", [False, True])
def test_server_of_the_old_api_is_not_the_one_that_is_meant(cloud, meanwhile, later):
    """Or else its host could lose the disk to one that is detached."""
    volume = cloud.volume()
    gone = cloud.attach(volume, A | NAMES[0])
    cloud.watch(1)
    cloud.detach(volume, gone)
    old = cloud.os_attach(volume, B)
    waiting = cloud.reserve(volume)

    def go_on():
        cloud.forget(volume, waiting)
        if later:
            cloud.reserve(volume)

    meanwhile(go_on)
    _attach_late(cloud, volume, A | NAMES[0], waiting)
    old.session.logout()  # its host boots
    cloud.pass_often()
    assert cloud.acls(volume) == {B["initiator"]}


def test_row_that_was_ended_is_meant_and_not_one_that_was_made_later(cloud, meanwhile):
    volume = cloud.volume(**cloud.volume_type(secondary_mode="ro"))
    mover = str(uuid.uuid4())
    cloud.attach(volume, B, server=mover)
    second = cloud.attach(volume, A | NAMES[0])
    cloud.watch(2)
    cloud.terminate(volume, second)
    cloud.wait(1)
    meanwhile(lambda: cloud.reserve(volume, server=mover))
    cloud.manager.attachment_update(
        cloud.context, cloud.load(volume), A | NAMES[0], second.id
    )
    row = objects.VolumeAttachment.get_by_id(cloud.context, second.id)
    assert row.connector["taikun_cinder_mode"] == "ro"


def test_row_that_was_ended_keeps_its_host_though_a_later_one_goes(cloud, meanwhile):
    volume = cloud.volume()
    cloud.attach(volume, B)
    second = cloud.attach(volume, A | NAMES[0])
    cloud.watch(2)
    cloud.terminate(volume, second)
    cloud.wait(1)
    later = []
    meanwhile(lambda: later.append(cloud.reserve(volume)))
    told = cloud.driver.initialize_connection(cloud.load(volume), A | NAMES[0])
    cloud.manager.attachment_delete(cloud.context, later[0].id, cloud.load(volume))
    cloud.forget(volume, later[0])
    session = cloud.target.log_in(cloud.load(volume), A, told["data"])
    cloud.attach(volume, C)
    assert session.alive


def test_row_that_nobody_counts_refuses_no_row_that_moves(cloud):
    volume = cloud.volume()
    odd = cloud.reserve(volume)
    spoil(odd, attach_status="detached")
    moved = cloud.attach(volume, B | NAMES[0])
    assert cloud.connect(volume, A | NAMES[0], moved).session.alive


def test_combined_request_has_no_row_of_the_old_api(cloud, meanwhile):
    volume = cloud.volume()
    cloud.os_attach(volume, B)
    made = cloud.reserve(volume, mode=None)
    sent = _sent_before(cloud, volume, made)
    meanwhile(lambda: cloud.forget(volume, made))
    with pytest.raises(exception.VolumeBackendAPIException, match="gets no access"):
        cloud.manager.attachment_update(cloud.context, sent, dict(A), made.id)
    assert cloud.acls(volume) == {B["initiator"]}


@pytest.mark.parametrize("end", ["reconcile", "force_detach"])
def test_attach_between_a_detach_and_its_rows_end_goes_with_the_row(
    cloud, goes_after, end
):
    volume = cloud.volume()
    other = cloud.attach(volume, B)
    attached = cloud.attach(volume, A | NAMES[0])
    cloud.terminate(volume, attached)
    goes_after(volume, attached)
    with pytest.raises(exception.CinderException):
        cloud.connect(volume, A | NAMES[0], attached)
    if end == "force_detach":
        again = cloud.attach(volume, A | NAMES[0])
        cloud.force_detach(volume, again, A)
        assert not again.session.alive
    else:
        cloud.reconcile()
    assert cloud.acls(volume) == {B["initiator"]}
    assert other.session.alive


def test_no_late_answer_outlasts_a_detach_by_force(cloud, meanwhile):
    volume = cloud.volume()
    waiting = cloud.reserve(volume)
    meanwhile(lambda: cloud.forget(volume, waiting))
    _attach_late(cloud, volume, A | NAMES[0], waiting)
    attached = cloud.attach(volume, A | NAMES[0])
    cloud.force_detach(volume, attached, A)
    assert cloud.acls(volume) is None
    assert not attached.session.alive


def _set_status(cloud, volume, status):
    busy = cloud.load(volume)
    busy.status = status
    busy.save()


@pytest.mark.parametrize(
    "status", ["in-use", "detaching", "backing-up", "uploading", "extending"]
)
def test_row_that_moves_keeps_its_mode_in_any_status(cloud, status):
    """It is not taken for a connection of Cinder's own, which may write."""
    volume = cloud.volume()
    moved = cloud.attach(volume, B | NAMES[0], "ro")
    cloud.watch(1)
    _set_status(cloud, volume, status)
    cloud.connect(volume, A | NAMES[0], moved)
    cloud.watch(1)
    row = objects.VolumeAttachment.get_by_id(cloud.context, moved.id)
    assert not moved.writes()
    assert row.connector["taikun_cinder_mode"] == "ro"


@pytest.mark.parametrize("status", ["in-use", "detaching", "backing-up"])
def test_row_that_moves_is_held_to_the_rule_in_any_status(cloud, status):
    volume = cloud.volume(**cloud.volume_type(secondary_mode="ro"))
    cloud.attach(volume, C)
    moved = cloud.attach(volume, B | NAMES[0])
    cloud.watch(1)
    _set_status(cloud, volume, status)
    cloud.connect(volume, A | NAMES[0], moved)
    cloud.watch(1)
    assert not moved.writes()


def test_waiting_row_without_a_status_lets_its_host_in(cloud):
    volume = cloud.volume()
    row = cloud.reserve(volume)
    spoil(row, attach_status=None)
    assert cloud.connect(volume, A | NAMES[0], row).session.alive
