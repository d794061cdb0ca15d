# SPDX-License-Identifier: Apache-2.0
"""A detach ends its own access, and no other (laws 1 and 2)."""

import uuid

import pytest
from cinder import exception

from tests.unit.cloud import A, B, Host, lose

C = Host("compute3").connector


def test_last_detach_removes_the_export(cloud):
    volume = cloud.volume()
    first, second = cloud.attach(volume, A), cloud.attach(volume, B)
    cloud.detach(volume, first)
    assert cloud.acls(volume) == {B["initiator"]}
    assert not first.session.alive
    assert second.session.alive
    cloud.detach(volume, second)
    assert cloud.acls(volume) is None


def test_terminate_connection_answers_with_a_bool(cloud):
    volume = cloud.volume()
    first, second = cloud.attach(volume, A), cloud.attach(volume, B)
    assert cloud.terminate(volume, first) is True
    assert cloud.terminate(volume, second) is False


def test_os_detach_of_one_of_two_keeps_the_other(cloud, log):
    volume = cloud.volume()
    first, second = cloud.attach(volume, A), cloud.attach(volume, B)
    cloud.os_detach(volume, first)
    assert second.session.alive
    assert "compute2" in log.text


def test_os_detach_with_its_connector_ends_access_of_that_host_only(cloud):
    volume = cloud.volume()
    first, second = cloud.attach(volume, A), cloud.attach(volume, B)
    cloud.os_detach(volume, first, A)
    assert second.session.alive
    assert cloud.acls(volume) == {B["initiator"]}
    assert not first.session.alive
    cloud.os_detach(volume, second, B)
    assert cloud.acls(volume) is None


def test_attachments_without_a_connector_keep_the_export_too(cloud):
    volume = cloud.volume()
    first, second = cloud.os_attach(volume, A), cloud.os_attach(volume, B)
    cloud.os_detach(volume, first, A)
    assert second.session.alive
    cloud.os_detach(volume, second, B)
    assert cloud.acls(volume) is None


def test_attachments_without_a_connector_survive_a_restart_of_the_service(cloud):
    volume = cloud.volume()
    first, second = cloud.os_attach(volume, A), cloud.os_attach(volume, B)
    cloud.restart_driver()
    cloud.os_detach(volume, first, A)
    assert second.session.alive


def test_detach_repeated_without_rows_that_name_hosts_keeps_the_other(cloud):
    volume = cloud.volume()
    first, second = cloud.os_attach(volume, A), cloud.os_attach(volume, B)
    cloud.restart_driver()
    cloud.manager.terminate_connection(cloud.context, volume, A)
    cloud.os_detach(volume, first, A)
    assert second.session.alive


def test_connection_that_cinder_makes_for_itself_lives_until_it_is_ended(cloud):
    volume = cloud.volume()
    session = cloud.connect_only(cloud.load(volume), A)
    cloud.manager.remove_export(cloud.context, volume)
    assert session.alive
    cloud.manager.terminate_connection(cloud.context, volume, A)
    cloud.manager.remove_export(cloud.context, volume)
    assert cloud.acls(volume) is None


@pytest.mark.parametrize("multiattach", [True, False])
def test_acl_of_a_host_goes_with_its_last_attachment(cloud, multiattach):
    volume = cloud.volume(multiattach=multiattach)
    first, second = cloud.attach(volume, A), cloud.attach(volume, A)
    cloud.detach(volume, first)
    assert second.session.alive
    cloud.detach(volume, second)
    assert cloud.acls(volume) is None


def test_initiator_is_the_same_in_any_case(cloud):
    volume = cloud.volume()
    shouted = A | {"initiator": A["initiator"].upper()}
    first, second = cloud.attach(volume, A), cloud.attach(volume, shouted)
    cloud.detach(volume, first)
    assert second.session.alive
    cloud.detach(volume, second)
    assert cloud.acls(volume) is None


def test_attachment_updated_twice_counts_once(cloud):
    volume = cloud.volume()
    only = cloud.attach(volume, A)
    cloud.connect(volume, A, only)
    cloud.detach(volume, only)
    assert cloud.acls(volume) is None


def test_detach_without_a_connector_ends_all_access_and_warns(cloud, log):
    volume = cloud.volume()
    cloud.attach(volume, A)
    cloud.attach(volume, B)
    loaded = cloud.load(volume)
    assert cloud.driver.terminate_connection(loaded, None, force=True) is False
    assert cloud.acls(volume) is None
    warning = next(record for record in log.records if record.levelname == "WARNING")
    assert "compute1" in warning.getMessage()
    assert "compute2" in warning.getMessage()
    cloud.driver.remove_export(cloud.context, loaded)
    assert cloud.acls(volume) is None


def test_detach_without_a_connector_of_a_volume_that_nobody_has(cloud):
    volume = cloud.volume()
    assert cloud.driver.terminate_connection(cloud.load(volume), None) is False


def test_detach_without_an_initiator_changes_nothing(cloud):
    volume = cloud.volume()
    first = cloud.attach(volume, A)
    with pytest.raises(exception.InvalidConnectorException, match=r"compute1.*Nothing"):
        cloud.driver.terminate_connection(cloud.load(volume), {"host": "compute1"})
    assert first.session.alive
    cloud.detach(volume, first)
    assert cloud.acls(volume) is None


def test_detach_of_a_stranger_keeps_all_others(cloud):
    volume = cloud.volume()
    first = cloud.attach(volume, A)
    loaded = cloud.load(volume)
    stranger = {"initiator": "iqn.fake", "ip": "127.0.0.1"}
    assert cloud.driver.terminate_connection(loaded, stranger) is True
    assert first.session.alive


def test_unmarked_terminate_sent_twice_keeps_the_server_beside(cloud):
    volume = cloud.volume()
    server = cloud.attach(volume, A)
    cloud.connect_only(cloud.load(volume), A)  # say, a backup on the same machine
    for _ in range(3):
        cloud.manager.terminate_connection(cloud.context, volume, dict(A))
    assert server.session.alive
    cloud.restart_driver()
    cloud.manager.terminate_connection(cloud.context, volume, dict(A), force=True)
    assert server.session.alive


def test_late_detach_takes_no_disk_of_a_server_that_came_back_to_its_host(cloud):
    volume, server = cloud.volume(), str(uuid.uuid4())
    before = cloud.attach(volume, A, server=server)
    cloud.log_out(before)
    reserved = cloud.reserve(volume, server=server)
    connector = dict(A)
    told = cloud.driver.initialize_connection(cloud.load(volume), connector)
    session = cloud.target.log_in(cloud.load(volume), A, told["data"])
    # Before Cinder has written down that the new one has a connector.
    cloud.detach(volume, before)
    assert session.alive
    cloud.driver.terminate_connection(cloud.load(volume), connector)
    assert not session.alive
    cloud.forget(volume, reserved)


def test_operators_terminate_sent_twice_keeps_the_next_server(cloud, log):
    volume = cloud.volume()
    fence = {"initiator": A["initiator"]}
    first = cloud.attach(volume, A)
    cloud.os_detach(volume, first, fence)
    assert not first.session.alive
    second = cloud.attach(volume, A)
    cloud.manager.terminate_connection(cloud.context, volume, dict(fence))
    assert second.session.alive
    assert "keeps its access" in log.text


def test_operator_fences_a_host_with_two_attachments_at_once(cloud):
    volume = cloud.volume()
    first, second = cloud.attach(volume, A), cloud.attach(volume, A)
    other = cloud.attach(volume, B)
    fence = {"initiator": A["initiator"]}
    cloud.os_detach(volume, first, fence)
    assert second.session.alive
    cloud.manager.terminate_connection(cloud.context, volume, dict(fence))
    assert second.session.alive  # that was repeated
    cloud.os_detach(volume, second, fence)
    assert not second.session.alive
    assert other.session.alive


FENCE = {"initiator": A["initiator"]}


@pytest.mark.parametrize("named", [FENCE, dict(A)])
@pytest.mark.parametrize("restart", [False, True])
def test_host_that_is_force_detached_again_is_out_at_once(cloud, named, restart):
    volume = cloud.volume()
    other = cloud.attach(volume, B)
    for _ in range(3):
        attached = cloud.attach(volume, A)
        cloud.force_detach(volume, attached, named)
        assert not attached.session.alive
        if restart:
            cloud.restart_driver()
    assert other.session.alive


def test_host_that_is_force_detached_after_a_backup_is_out_at_once(cloud):
    volume = cloud.volume()
    cloud.connect_only(cloud.load(volume), A)
    cloud.manager.terminate_connection(cloud.context, volume, dict(A))
    attached = cloud.attach(volume, A)
    cloud.force_detach(volume, attached, A)
    assert not attached.session.alive


@pytest.mark.parametrize("how", ["deleted", "not in the database"])
def test_host_is_out_at_once_though_the_answer_to_another_attach_was_lost(cloud, how):
    volume = cloud.volume()
    lost = cloud.reserve(volume)
    cloud.driver.initialize_connection(cloud.load(volume), dict(A))
    _lose_waiting(cloud, volume, lost, how)
    attached = cloud.attach(volume, A)
    _set_status(cloud, volume, "in-use")  # as os-complete
    cloud.force_detach(volume, attached, dict(FENCE))
    assert not attached.session.alive


@pytest.mark.parametrize(
    ("how", "by"),
    [
        ("deleted", "detach"),
        ("deleted", "force_detach"),
        # A row that is missing may come back, so only who names the host ends it.
        ("not in the database", "force_detach"),
    ],
)
def test_host_that_never_said_it_is_attached_keeps_no_other_in(cloud, how, by):
    """Cinder has the volume as attaching meanwhile, as for a host of the old API."""
    volume = cloud.volume()
    lost = cloud.reserve(volume)
    cloud.driver.initialize_connection(cloud.load(volume), dict(A))
    attached, silent = cloud.attach(volume, A), cloud.reserve(volume)
    cloud.manager.attachment_update(
        cloud.context, cloud.load(volume), dict(B), silent.id
    )
    assert cloud.load(volume).status == "attaching"
    _lose_waiting(cloud, volume, lost, how)
    _set_status(cloud, volume, "attaching")  # which Cinder changes with a lost row
    getattr(cloud, by)(volume, attached, *([FENCE] if by == "force_detach" else []))
    assert not attached.session.alive
    assert cloud.acls(volume) == {B["initiator"]}


def _lose_waiting(cloud, volume, waiting, how):
    """Take away the row of an attachment that waited for its host."""
    if how == "deleted":
        cloud.manager.attachment_delete(cloud.context, waiting.id, cloud.load(volume))
        cloud.forget(volume, waiting)
    else:
        lose(waiting)


@pytest.mark.parametrize("how", ["deleted", "not in the database"])
@pytest.mark.parametrize("mode", ["rw", "ro"])
def test_force_detach_beside_a_server_of_the_old_api_keeps_that(cloud, how, mode):
    """Its connection may be noted for another's row, which waited then."""
    volume = cloud.volume()
    waiting = cloud.reserve(volume)
    old = cloud.os_attach(volume, A)
    cloud.watch(1)
    _lose_waiting(cloud, volume, waiting, how)
    cloud.pass_often()
    server = cloud.attach(volume, A, mode)
    cloud.watch(1)
    cloud.force_detach(volume, server, dict(FENCE))
    assert old.session.alive
    cloud.pass_often()
    assert old.session.alive
    assert old.writes()


def test_force_detach_of_one_of_two_of_the_old_api_keeps_the_other(cloud):
    volume = cloud.volume()
    waiting = [cloud.reserve(volume) for _ in range(2)]
    one, two = (cloud.os_attach(volume, A) for _ in range(2))
    for row in waiting:
        _lose_waiting(cloud, volume, row, "deleted")
    cloud.force_detach(volume, one, dict(FENCE))
    assert two.session.alive
    cloud.pass_often()
    assert two.session.alive


def test_termination_beside_who_is_being_attached_by_the_old_api_keeps_that(cloud):
    volume = cloud.volume()
    cloud.attach(volume, A)
    cloud.watch()
    waiting = cloud.reserve(volume)
    _set_status(cloud, volume, "attaching")
    session = cloud.connect_only(cloud.load(volume), A)
    _lose_waiting(cloud, volume, waiting, "deleted")
    _set_status(cloud, volume, "attaching")
    cloud.driver.terminate_connection(cloud.load(volume), dict(FENCE))
    assert session.alive


def test_who_attaches_by_the_old_api_keeps_the_disk_while_the_row_is_made(cloud):
    volume = cloud.volume()
    waiting = cloud.reserve(volume)
    _set_status(cloud, volume, "attaching")  # os-reserve
    session = cloud.connect_only(cloud.load(volume), A)
    row = cloud.load(volume).begin_attach("rw")
    _lose_waiting(cloud, volume, waiting, "deleted")
    cloud.driver._exports.refresh(cloud.load(volume))
    row.finish_attach(None, None, "/dev/sdb", "rw")
    cloud.pass_often()
    assert session.alive


def _set_status(cloud, volume, status):
    loaded = cloud.load(volume)
    loaded.status = status
    loaded.save()


def test_force_detach_that_is_repeated_keeps_the_next_server(cloud):
    volume = cloud.volume()
    first = cloud.attach(volume, A)
    cloud.force_detach(volume, first, FENCE)
    second, other = cloud.attach(volume, A), cloud.attach(volume, B)
    cloud.force_detach(volume, first, FENCE)  # Cinder finds no such attachment
    assert second.session.alive
    cloud.force_detach(volume, other, {"initiator": B["initiator"]})
    assert not other.session.alive
    _failed_attach(cloud, volume, B)
    cloud.reconcile()
    assert second.session.alive


def test_force_detach_of_one_host_settles_no_unclear_call_of_another(cloud):
    volume = cloud.volume()
    first, second = cloud.attach(volume, A), cloud.attach(volume, A)
    for _ in range(2):
        other = cloud.attach(volume, B)
        cloud.force_detach(volume, other, {"initiator": B["initiator"]})
    other = cloud.attach(volume, B)
    request = cloud.context
    cloud.manager.terminate_connection(request, volume, {"initiator": B["initiator"]})
    cloud.manager.terminate_connection(cloud.context, volume, dict(FENCE))
    cloud.forget(volume, first)
    cloud.manager.detach_volume(request, volume, other.id, cloud.load(volume))
    assert second.session.alive
    assert not other.session.alive


def test_another_hosts_fence_does_not_settle_a_repeated_one(cloud):
    volume = cloud.volume()
    first, second = cloud.attach(volume, A), cloud.attach(volume, A)
    other = cloud.attach(volume, B)
    fence = {"initiator": A["initiator"]}
    cloud.os_detach(volume, first, fence)
    cloud.manager.terminate_connection(cloud.context, volume, dict(fence))
    cloud.os_detach(volume, other, {"initiator": B["initiator"]})
    assert second.session.alive
    assert not other.session.alive


def _failed_attach(cloud, volume, connector):
    """Attach, and let nova-compute fail: Cinder removes what it had made."""
    reserved = cloud.reserve(volume)
    cloud.driver.initialize_connection(cloud.load(volume), dict(connector))
    cloud.manager.remove_export(cloud.context, volume)
    return reserved


def test_another_hosts_failed_attach_does_not_settle_a_repeated_fence(cloud):
    volume = cloud.volume()
    fence = {"initiator": A["initiator"]}
    cloud.os_detach(volume, cloud.attach(volume, A), fence)
    second = cloud.attach(volume, A)
    cloud.manager.terminate_connection(cloud.context, volume, dict(fence))
    _failed_attach(cloud, volume, B)
    assert second.session.alive


def test_another_hosts_failed_attach_does_not_settle_a_detach_that_was_made(cloud):
    volume = cloud.volume()
    first, second = cloud.attach(volume, A), cloud.attach(volume, A)
    cloud.manager.terminate_connection(cloud.context, volume, dict(A))
    cloud.detach(volume, first)
    _failed_attach(cloud, volume, B)
    assert second.session.alive


@pytest.mark.parametrize("later", [0, 70])
@pytest.mark.parametrize("named", [dict(A), {"initiator": A["initiator"]}])
def test_os_detach_of_what_ended_before_keeps_the_other(cloud, later, named):
    volume = cloud.volume()
    first, second = cloud.attach(volume, A), cloud.attach(volume, A)
    cloud.terminate(volume, first)
    cloud.wait(later)
    cloud.os_detach(volume, first, named)
    assert second.session.alive
    cloud.detach(volume, second)
    assert cloud.acls(volume) is None


@pytest.mark.parametrize("force", [False, True])
def test_connection_of_cinders_own_that_is_old_still_ends_alone(cloud, force):
    volume = cloud.volume()
    server = cloud.attach(volume, A)
    cloud.connect_only(cloud.load(volume), A)
    for _ in range(2):
        cloud.wait(400)
        cloud.reconcile()
    cloud.manager.terminate_connection(cloud.context, volume, dict(A), force=force)
    assert server.session.alive
    cloud.detach(volume, server)
    assert cloud.acls(volume) is None


def test_failed_attach_of_another_host_does_not_settle_a_fence_that_was_unclear(cloud):
    volume = cloud.volume()
    fence = {"initiator": A["initiator"]}
    first, second = cloud.attach(volume, A), cloud.attach(volume, A)
    cloud.os_detach(volume, first, fence)
    cloud.manager.terminate_connection(cloud.context, volume, dict(fence))
    reserved = cloud.reserve(volume)
    cloud.target.fails_for = {B["initiator"]}
    with pytest.raises(exception.VolumeBackendAPIException):
        cloud.connect(volume, B, reserved)
    assert second.session.alive


def test_words_of_a_connector_forge_no_line_of_the_log(cloud, log):
    volume = cloud.volume()
    for _ in range(2):
        cloud.attach(volume, A | {"ip": "x\ry"})
    evil = A | {"host": "x\n2026-12-01 00:00:00 ERROR forged" + "x" * 1000}
    cloud.manager.terminate_connection(cloud.context, volume, evil)
    said = [
        record.getMessage()
        for record in log.records
        if record.name.startswith("taikun_cinder") and "forged" in record.getMessage()
    ]
    assert said
    assert all(len(text.splitlines()) == 1 for text in said)
    assert all("x" * 300 not in text for text in said)


def test_answer_that_was_lost_keeps_nobody_in_after_the_detach(cloud):
    volume = cloud.volume()
    first = cloud.reserve(volume)
    cloud.driver.initialize_connection(cloud.load(volume), dict(A))
    cloud.connect(volume, A, first)
    cloud.detach(volume, first)
    assert not first.session.alive


@pytest.mark.parametrize("step", [60, 400])
def test_answer_that_was_lost_keeps_no_evacuated_host_in(cloud, step):
    volume = cloud.volume(**cloud.volume_type(max_hosts="1"))
    server = str(uuid.uuid4())
    lost = cloud.reserve(volume, server=server)
    cloud.driver.initialize_connection(cloud.load(volume), dict(A))
    cloud.forget(volume, lost)
    cloud.restart_driver()
    shown = A | {"mountpoint": "/dev/vdb"}  # another connector of the same host
    first = cloud.attach(volume, shown, server=server)
    cloud.reconcile()
    new = cloud.attach(volume, B, server=server)
    cloud.detach(volume, first)
    for _ in range(1200 // step):
        cloud.wait(step)
        cloud.reconcile()
    assert not first.session.alive
    assert new.session.alive
    assert cloud.attach(volume, C, server=server).writes()


def test_attachment_without_a_name_keeps_one_host_in(cloud):
    volume = cloud.volume()
    first, second = cloud.os_attach(volume, A), cloud.os_attach(volume, B)
    cloud.os_detach(volume, first)
    first.session.logout()
    for _ in range(5):
        cloud.wait(400)
        cloud.reconcile()
    assert cloud.acls(volume) == {B["initiator"]}
    # Nobody can tell whose it is, if none of them is logged in.
    third = cloud.os_attach(volume, C)
    for attached in (second, third):
        attached.session.logout()
    cloud.os_detach(volume, third)
    for _ in range(5):
        cloud.wait(400)
        cloud.reconcile()
    assert cloud.acls(volume) == {B["initiator"], C["initiator"]}


def test_terminate_that_may_mean_either_of_two_waits_for_the_row(cloud):
    volume = cloud.volume()
    first, second = cloud.attach(volume, A), cloud.attach(volume, A)
    for _ in range(2):
        cloud.manager.terminate_connection(cloud.context, volume, dict(A))
    assert second.session.alive
    cloud.forget(volume, first)
    cloud.manager.terminate_connection(cloud.context, volume, dict(A))
    assert second.session.alive
    cloud.forget(volume, second)
    cloud.reconcile()
    assert cloud.acls(volume) is None


def test_detach_that_is_repeated_much_later_is_undone_by_no_reconcile(cloud):
    """The deletion of the row failed at first, and a reconcile may just be at work."""
    volume = cloud.volume()
    attached = cloud.attach(volume, A)
    cloud.watch()
    cloud.terminate(volume, attached)
    cloud.wait(400)
    cloud.terminate(volume, attached)
    cloud.reconcile()
    assert cloud.acls(volume) is None
    cloud.wait(400)
    cloud.reconcile()
    assert cloud.acls(volume) == {A["initiator"]}  # it is an attachment after all


@pytest.mark.parametrize("servers", [1, 2])
@pytest.mark.parametrize("named", [dict(A), {"initiator": A["initiator"]}])
def test_end_of_a_backup_that_was_fenced_keeps_the_servers_of_its_host(
    cloud, servers, named
):
    volume = cloud.volume()
    cloud.connect_only(cloud.load(volume), A)
    cloud.driver.terminate_connection(cloud.load(volume), None, force=True)
    attached = [cloud.attach(volume, A) for _ in range(servers)]
    cloud.manager.terminate_connection(cloud.context, volume, named, force=True)
    cloud.driver.remove_export(cloud.context, cloud.load(volume))
    assert all(one.session.alive for one in attached)
    for one in attached:
        cloud.detach(volume, one)
    assert cloud.acls(volume) is None


def test_end_of_a_backup_ends_it_after_the_volumes_record_was_lost(cloud):
    volume = cloud.volume()
    cloud.connect_only(cloud.load(volume), A)
    other = cloud.attach(volume, B)
    cloud.record(volume).unlink()
    cloud.restart_driver()
    cloud.manager.terminate_connection(cloud.context, volume, dict(A), force=True)
    assert cloud.acls(volume) == {B["initiator"]}
    assert other.session.alive


@pytest.mark.parametrize(
    "name", ["a/b", "iqn.2026-11.com.exämple:a", "İ", "..", "x" * 300]
)
def test_detach_of_a_name_that_nobody_can_have_changes_nothing(cloud, name):
    volume = cloud.volume()
    first = cloud.attach(volume, A)
    loaded = cloud.load(volume)
    assert cloud.driver.terminate_connection(loaded, {"initiator": name}) is True
    assert first.session.alive
