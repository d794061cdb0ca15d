# SPDX-License-Identifier: Apache-2.0
"""A host may do what its attachments say, however Cinder says it (law 4)."""

import uuid

import pytest
from cinder import exception

from tests.unit.cloud import A, Attached, B, Host

C = Host("compute3").connector

SERVER = str(uuid.uuid4())


def test_mode_of_the_attachment_is_enforced_and_told(cloud):
    volume = cloud.volume()
    writer, reader = cloud.attach(volume, A, "rw"), cloud.attach(volume, B, "ro")
    assert (writer.writes(), reader.writes()) == (True, False)
    assert reader.session.read() == b"by a host"
    told = [attached.information["access_mode"] for attached in (writer, reader)]
    assert told == ["rw", "ro"]


def test_mode_of_the_connector_counts_where_the_attachment_has_none(cloud):
    volume = cloud.volume()
    assert not cloud.attach(volume, A | {"mode": "ro"}).writes()
    assert cloud.attach(volume, B | {"mode": "null"}).writes()


@pytest.mark.parametrize("mode", ["w", "READ", 7])
def test_mode_that_is_none_is_refused(cloud, mode):
    volume = cloud.volume()
    with pytest.raises(exception.InvalidInput, match="a mode is 'rw' or 'ro'"):
        cloud.attach(volume, A | {"mode": mode})
    assert cloud.acls(volume) is None


@pytest.mark.parametrize(("mode", "may"), [("ro", False), ("rw", True), ("null", True)])
def test_mode_that_comes_with_the_connector_in_one_request(cloud, mode, may):
    volume = cloud.volume()
    attached = cloud.attach_in_one(volume, A, mode)
    cloud.watch()
    assert attached.writes() is may


def test_host_only_reads_until_its_row_says_its_mode(cloud):
    volume = cloud.volume()
    attached = cloud._reserve(volume, None)
    information = cloud.manager.attachment_update(
        cloud.context, cloud.load(volume), dict(A), attached.id
    )
    attached.session = cloud.target.log_in(cloud.load(volume), A, information)
    cloud.reconcile()
    assert not attached.writes()


def test_server_on_the_move_writes_from_the_first_moment(cloud):
    # Nova's live migration attaches in one request.
    volume = cloud.volume(multiattach=False)
    cloud.attach(volume, A, server=SERVER)
    attached = cloud._reserve(volume, SERVER)
    cloud.connect(volume, B, attached)
    assert attached.writes()


def test_volume_that_is_read_only_is_so_for_all(cloud):
    volume = cloud.volume()
    cloud.set_readonly(volume, "True")
    first, second = cloud.attach(volume, A, "rw"), cloud.attach_in_one(volume, B)
    assert not first.writes()
    assert not second.writes()
    assert second.information["access_mode"] == "ro"


def test_volume_that_is_read_only_is_so_by_cinders_old_api(cloud):
    volume = cloud.volume(status="attaching")
    cloud.set_readonly(volume, "True")
    session = cloud.connect_only(cloud.load(volume), A)
    assert not Attached("", session).writes()


def test_cinder_itself_writes_to_a_volume_that_is_read_only(cloud):
    volume = cloud.volume(status="restoring-backup")
    cloud.set_readonly(volume, "True")
    assert Attached("", cloud.connect_only(cloud.load(volume), A)).writes()


def test_flag_that_was_lifted_takes_nobody_the_right_to_write(cloud, log):
    volume = cloud.volume()
    cloud.set_readonly(volume, "False")
    assert cloud.attach(volume, A, "rw").writes()
    assert "readonly='False'" in log.text
    cloud.reconcile()
    # From now on Cinder hears what is asked for.
    assert "readonly" not in cloud.load(volume).admin_metadata
    assert not cloud.attach(volume, B, "ro").writes()


def test_host_that_was_taken_over_keeps_its_right_beside_a_lifted_flag(cloud):
    volume = cloud.volume()
    cloud.set_readonly(volume, "False")
    writer = cloud.attach(volume, A, "rw")
    cloud.as_by_the_in_tree_driver(volume, writer, "ro")
    cloud.set_readonly(volume, "False")
    cloud.reconcile()
    assert writer.writes()


def test_read_only_host_that_was_taken_over_may_only_read(cloud):
    volume = cloud.volume()
    attached = cloud.attach(volume, A, "rw")
    cloud.as_by_the_in_tree_driver(volume, attached, "ro")
    cloud.restart_driver()
    cloud.reconcile()
    assert not attached.writes()


def test_two_servers_of_a_host_have_a_mode_each(cloud):
    volume = cloud.volume()
    reader, writer = cloud.attach(volume, A, "ro"), cloud.attach(volume, A, "rw")
    assert reader.session.first is writer.session.first
    assert reader.information["access_mode"] == "ro"
    assert (reader.writes(), writer.writes()) == (False, True)
    cloud.detach(volume, writer)
    assert reader.session.alive
    assert (reader.writes(), writer.writes()) == (False, False)


@pytest.mark.parametrize(("before", "after"), [("rw", "ro"), ("ro", "rw")])
def test_mode_changes_with_another_update_of_the_attachment(cloud, before, after):
    volume = cloud.volume()
    attached = cloud.attach(volume, A | {"mode": before})
    session = attached.session
    # Cinder itself lets a mode change only where its row has none.
    cloud._write_mode(attached, volume, "null")
    cloud.connect(volume, A | {"mode": after}, attached)
    cloud.watch()
    assert attached.session.first is session.first
    assert attached.writes() is (after == "rw")
    assert attached.information["access_mode"] == after


def test_os_attach_tells_the_mode_behind_the_connection(cloud):
    volume = cloud.volume()
    attached = cloud.os_attach(volume, A, "ro")
    cloud.reconcile()
    assert not attached.writes()


def test_modes_by_os_attach_that_differ_take_nobody_the_right_to_write(cloud):
    volume = cloud.volume()
    reader, writer = cloud.os_attach(volume, A, "ro"), cloud.os_attach(volume, B, "rw")
    cloud.reconcile()
    assert writer.writes()
    assert reader.writes()  # nobody can tell which of the two it is


def test_modes_survive_a_restart_with_and_without_the_record(cloud):
    volume = cloud.volume()
    reader, writer = cloud.attach(volume, A, "ro"), cloud.attach(volume, B, "rw")
    for lost in (False, True):
        if lost:
            cloud.record(volume).unlink()
        cloud.restart_driver()
        cloud.reconcile()
        assert (reader.writes(), writer.writes()) == (False, True)


def test_read_only_attachment_in_one_request_holds_though_its_server_writes_elsewhere(
    cloud,
):
    volume, server = cloud.volume(), str(uuid.uuid4())
    writer = cloud.attach(volume, A, "rw", server=server)
    reader = cloud.attach_in_one(volume, B, "ro", server=server)
    moved = cloud.attach_in_one(volume, C, server=server)
    cloud.watch()
    cloud.reconcile()
    assert (writer.writes(), reader.writes(), moved.writes()) == (True, False, True)


def test_undecided_attachment_of_a_server_decides_nothing_for_its_next(cloud):
    volume, server = cloud.volume(), str(uuid.uuid4())
    unwritten = cloud._reserve(volume, server)
    cloud.driver.initialize_connection(cloud.load(volume), B | {"mode": None})
    reader = cloud.attach_in_one(volume, A, "ro", server=server)
    cloud.reconcile()  # and not watch(), since nobody writes the first one down
    assert not reader.writes()
    assert unwritten.session is None
