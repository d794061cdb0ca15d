# SPDX-License-Identifier: Apache-2.0
"""Attachments by Cinder's old API, whose rows do not name their host (law 1)."""

import uuid

import pytest

from tests.unit.cloud import A, B, Host

C = Host("compute3").connector


@pytest.mark.parametrize("mode", ["rw", "ro"])
def test_it_keeps_its_disk_beside_a_server_that_comes_and_goes_on_its_host(cloud, mode):
    volume = cloud.volume()
    old = cloud.os_attach(volume, A)
    server = cloud.attach(volume, A, mode)
    cloud.watch(1)
    assert old.writes()
    cloud.pass_often()
    assert old.writes()
    cloud.detach(volume, server)
    cloud.pass_often()
    assert old.writes()


@pytest.mark.parametrize("shelved", [1, 2])
def test_it_is_not_taken_for_a_server_that_waits(cloud, shelved):
    volume = cloud.volume()
    other = cloud.attach(volume, C)
    waiting = [cloud.reserve(volume) for _ in range(shelved)]
    old = cloud.os_attach(volume, A)
    cloud.watch(1)
    for one in waiting:
        cloud.connect(volume, B, one)
    cloud.watch(1)
    cloud.pass_often()
    assert other.session.alive
    assert old.writes()
    cloud.os_detach(volume, old, A)
    cloud.pass_often()
    assert not old.session.alive
    assert other.session.alive


def test_it_keeps_its_disk_when_a_shelved_server_is_deleted(cloud):
    volume = cloud.volume()
    shelved = cloud.reserve(volume)
    old = cloud.os_attach(volume, A)
    cloud.watch(1)
    assert old.writes()
    # Its row has no connector, so that the driver is not told.
    cloud.manager.attachment_delete(cloud.context, shelved.id, cloud.load(volume))
    cloud.forget(volume, shelved)
    cloud.pass_often()
    assert old.session.alive
    assert old.writes()


def test_it_keeps_its_disk_when_an_unshelved_server_leaves_its_host(cloud):
    volume = cloud.volume()
    shelved = cloud.reserve(volume)
    old = cloud.os_attach(volume, A)
    cloud.watch(1)
    cloud.connect(volume, A, shelved)
    cloud.watch(1)
    cloud.pass_often()
    assert old.session.alive
    cloud.detach(volume, shelved)
    cloud.pass_often()
    assert old.session.alive


@pytest.mark.parametrize("wait", [True, False])
def test_it_keeps_its_disk_when_a_server_that_was_there_before_leaves(cloud, wait):
    volume = cloud.volume()
    server = cloud.attach(volume, A)
    cloud.watch()
    old = cloud.os_attach(volume, A)
    if wait:
        cloud.pass_often()
    cloud.detach(volume, server)
    assert old.session.alive
    cloud.pass_often()
    assert old.session.alive


def test_its_mode_holds_no_server_whose_attachment_waits_beside_another(cloud):
    """The driver cannot tell which of the two the request is for."""
    volume = cloud.volume()
    reader = cloud.os_attach(volume, A, "ro")
    cloud.watch(1)
    cloud.reserve(volume, "rw")
    writer = cloud.reserve(volume, "rw")
    information = cloud.manager.attachment_update(
        cloud.context, cloud.load(volume), dict(B), writer.id
    )
    session = cloud.target.log_in(cloud.load(volume), B, information)
    cloud.target.kernel.device_of(session, writing=True)
    assert not reader.writes()


def test_repeated_connect_of_one_host_takes_no_disk_from_another(cloud):
    volume = cloud.volume()
    cloud.connect_only(cloud.load(volume), A)
    cloud.os_attach(volume, A)
    rebooting = cloud.os_attach(volume, B)
    cloud.watch(1)
    rebooting.session.logout()
    cloud.pass_often()
    assert cloud.acls(volume) == {A["initiator"], B["initiator"]}


def _own_connection(cloud, volume, connector):
    """Connect as a backup does, whose end is lost."""
    loaded = cloud.load(volume)
    before = loaded.status
    loaded.status = "backing-up"
    loaded.save()
    session = cloud.connect_only(loaded, connector)
    loaded.status = before
    loaded.save()
    return session


def test_detached_host_is_out_though_an_old_api_host_is_down(cloud):
    volume = cloud.volume()
    old = cloud.os_attach(volume, C)
    cloud.watch(1)
    _own_connection(cloud, volume, A)
    server = cloud.attach(volume, A)
    cloud.watch(1)
    old.session.logout()
    cloud.pass_often()
    cloud.detach(volume, server)
    cloud.pass_often()
    assert not server.session.alive


@pytest.mark.parametrize("how", ["repeated", "other connector", "lost before"])
@pytest.mark.parametrize("is_there", [True, False])
def test_detached_host_is_out_though_an_answer_for_it_was_lost(cloud, how, is_there):
    volume = cloud.volume()
    server = str(uuid.uuid4())
    cloud.attach(volume, B)
    cloud.watch(1)
    if is_there:
        cloud.os_attach(volume, C).session.logout()
    other = A | {"mountpoint": "/dev/vdc"}
    if how == "lost before":
        cloud.lose_answer(volume, other, server)
    attached = cloud.attach(volume, A, server=server)
    if how != "lost before":
        again = A if how == "repeated" else other
        cloud.driver.initialize_connection(cloud.load(volume), dict(again))
    cloud.watch(1)
    cloud.detach(volume, attached)
    cloud.pass_often()
    cloud.pass_often()
    assert not attached.session.alive
