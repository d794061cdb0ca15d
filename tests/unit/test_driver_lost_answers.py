# SPDX-License-Identifier: Apache-2.0
"""A server whose attach was answered in vain, and is tried again elsewhere (law 4)."""

import uuid

import pytest

from taikun_cinder.access.model import Mode
from tests.unit.cloud import A, B, Host
from tests.unit.memory import name_of

C, D = Host("compute3").connector, Host("compute4").connector


@pytest.fixture
def server():
    return str(uuid.uuid4())


@pytest.fixture(params=[True, False], ids=["lost", "not lost"])
def lose(request, cloud):
    """Return a function that loses an answer, or does not: all else is the same."""
    return cloud.lose_answer if request.param else lambda *_: None


@pytest.mark.options(taikun_secondary_mode="ro")
def test_writer_writes_on_where_another_server_reads(cloud, server, lose):
    volume = cloud.volume()
    writer = cloud.attach(volume, A, server=server)
    reader = cloud.attach(volume, C)
    cloud.watch()
    assert (writer.writes(), reader.writes()) == (True, False)
    lose(volume, B, server)
    moved = cloud.attach(volume, C, server=server)
    cloud.watch(1)
    assert moved.writes()


def test_writer_does_not_get_the_mode_of_another_server_there(cloud, server, lose):
    volume = cloud.volume()
    cloud.attach_in_one(volume, A, "rw", server=server)
    cloud.attach(volume, C, "ro")
    cloud.watch()
    lose(volume, B, server)
    moved = cloud.attach_in_one(volume, C, "rw", server=server)
    cloud.watch(1)
    assert moved.writes()


@pytest.mark.options(taikun_secondary_mode="ro")
@pytest.mark.parametrize("to", [B, C], ids=["the writer's host", "another host"])
def test_second_server_does_not_become_a_writer(cloud, server, lose, to):
    volume = cloud.volume()
    writer = cloud.attach(volume, B)
    cloud.watch()
    lose(volume, A, server)
    second = cloud.attach(volume, to, server=server)
    cloud.watch(1)
    assert writer.writes()
    assert second.information["access_mode"] == "ro"
    assert to is B or not second.writes()


@pytest.mark.parametrize("rule", [{"secondary_mode": "deny"}, {"max_hosts": "3"}])
def test_migration_can_be_tried_again_at_once(cloud, server, lose, rule):
    volume = cloud.volume(**cloud.volume_type(**rule))
    cloud.attach(volume, A, server=server)
    cloud.watch()
    lose(volume, B, server)
    assert cloud.attach(volume, D, server=server).session.alive


def test_lost_answer_is_over_though_another_server_is_shelved(cloud):
    volume = cloud.volume()
    cloud.reserve(volume)
    cloud.lose_answer(volume, A, str(uuid.uuid4()))
    cloud.pass_often()
    assert not cloud.acls(volume)


@pytest.mark.parametrize("in_one", [True, False])
def test_reader_cannot_write_by_a_lost_answer_while_another_server_is_shelved(
    cloud, in_one
):
    volume = cloud.volume()
    cloud.reserve(volume)
    cloud.lose_answer(volume, A, str(uuid.uuid4()))
    cloud.pass_often()
    attach = cloud.attach_in_one if in_one else cloud.attach
    attach(volume, A, "ro")
    cloud.watch(1)
    cloud.pass_often()
    (state,) = cloud.target.read(name_of(cloud.load(volume))).hosts.values()
    assert state.mode is not Mode.RW


def test_host_whose_row_was_deleted_is_out_though_its_server_has_a_new_row(cloud):
    volume = cloud.volume()
    server = str(uuid.uuid4())
    row = cloud.reserve(volume, server=server)
    session = cloud.connect_only(cloud.load(volume), A)
    cloud.manager.attachment_delete(cloud.context, row.id, cloud.load(volume))
    cloud.forget(volume, row)
    cloud.reserve(volume, server=server)
    cloud.watch(1)
    cloud.pass_often()
    assert not session.alive
