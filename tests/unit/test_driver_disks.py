# SPDX-License-Identifier: Apache-2.0
"""Who may write gets the main disk, who may only read one of his own (laws 1, 4)."""

import json

import pytest
from cinder import objects

from taikun_cinder import modes
from taikun_cinder.targets.lio.states import readers_serial
from tests.unit.cloud import A, B


def _lun(attached):
    return attached.information["target_lun"]


def _disks(cloud, volume):
    """Give what the target shows each host: the mode of the main disk, and readers'."""
    hosts = cloud.target.read(cloud.driver._exports.layout.target(cloud.load(volume)))
    return {
        str(initiator): (state.mode, state.readers_disk)
        for initiator, state in hosts.hosts.items()
    }


def _as_by_an_older_version(cloud, volume, attached):
    """Let an attachment and its volume's record be as before there were two disks."""
    row = objects.VolumeAttachment.get_by_id(cloud.context, attached.id)
    connector = dict(row.connector)
    connector.pop(modes.DISK, None)
    row.connector = connector
    row.save()
    record = json.loads(cloud.record(volume).read_text())
    for grant in record["export"]["grants"]:
        del grant["main_disk"], grant["readers_disk"]
    cloud.record(volume).write_text(json.dumps(record))


def test_writers_and_readers_have_a_disk_each(cloud):
    volume = cloud.volume()
    writer, reader = cloud.attach(volume, A, "rw"), cloud.attach(volume, B, "ro")
    assert (_lun(writer), _lun(reader)) == (0, 1)
    assert (writer.session.serial, reader.session.serial) == (
        volume,
        readers_serial(volume),
    )
    assert writer.writes()
    assert reader.session.read() == b"by a host"


def test_all_paths_lead_to_the_same_disk(cloud):
    volume = cloud.volume()
    reader = cloud.attach(volume, A | {"multipath": True}, "ro")
    assert set(reader.information["target_luns"]) == {1}


@pytest.mark.parametrize("first", ["ro", "rw"])
def test_a_further_server_on_a_host_gets_its_own_disk_at_once(cloud, first):
    volume = cloud.volume()
    other = cloud.attach(volume, B, "rw")
    second = {"ro": "rw", "rw": "ro"}[first]
    servers = {mode: cloud.attach(volume, A, mode) for mode in (first, second)}
    assert (servers["ro"].writes(), servers["rw"].writes()) == (False, True)
    for mode in (first, second):
        cloud.detach(volume, servers.pop(mode))
        cloud.reconcile()
        for rest, attached in servers.items():
            assert attached.session.read() == b"by a host"
            assert attached.writes() is (rest == "rw")
    assert other.writes()
    assert cloud.acls(volume) == {B["initiator"]}


def test_a_writer_that_moves_to_the_host_of_a_reader_and_back(cloud):
    volume = cloud.volume()
    writer, reader = (
        cloud.attach(volume, A, "rw", "1e6a7d9c-6f0e-4d8b-9f4e-2b1d0c9a7e36"),
        cloud.attach(volume, B, "ro"),
    )
    there = cloud._reserve(volume, "1e6a7d9c-6f0e-4d8b-9f4e-2b1d0c9a7e36")
    cloud.connect(volume, B, there)
    assert _lun(there) == 0
    assert (writer.writes(), there.writes()) == (True, True)
    # It goes back: the move failed, and its end takes nothing from the reader.
    cloud.detach(volume, there)
    assert writer.writes()
    assert reader.session.read() == b"by a host"


def test_the_rule_for_second_servers_is_about_servers_and_not_about_hosts(cloud):
    volume = cloud.volume(**cloud.volume_type(secondary_mode="ro"))
    first, second = cloud.attach(volume, A, "rw"), cloud.attach(volume, A, "rw")
    assert second.information["access_mode"] == "ro"
    assert (first.writes(), second.writes()) == (True, False)
    cloud.detach(volume, first)
    assert not second.writes()
    assert second.session.read() == b"by a host"


@pytest.mark.parametrize(("before", "after"), [("rw", "ro"), ("ro", "rw")])
def test_an_attachment_that_gets_another_mode_gets_the_other_disk(cloud, before, after):
    volume = cloud.volume()
    other = cloud.attach(volume, B, "ro")
    attached = cloud.attach(volume, A | {"mode": before})
    old = attached.session
    cloud._write_mode(attached, volume, "null")
    cloud.connect(volume, A | {"mode": after}, attached)
    cloud.watch()
    assert _lun(attached) == {"rw": 0, "ro": 1}[after]
    assert attached.writes() is (after == "rw")
    # Its server may be using it still, and can change nothing by it.
    assert old.read() == other.session.read()
    with pytest.raises(OSError, match="write protected"):
        old.write(b"by the disk of before")
    cloud.reconcile()
    assert attached.writes() is (after == "rw")
    cloud.detach(volume, attached)
    assert cloud.acls(volume) == {B["initiator"]}
    other.session.read()


@pytest.mark.parametrize("restart", [False, True])
def test_a_writer_keeps_its_disk_when_it_is_taken_for_another_server(cloud, restart):
    volume = cloud.volume(**cloud.volume_type(secondary_mode="ro"))
    writer, reader = cloud.attach(volume, A), cloud.attach(volume, B)
    before = writer.session
    waiting = cloud.reserve(volume)
    cloud.connect(volume, A, writer)  # once more: the first answer was lost
    cloud.watch(1)
    if restart:
        cloud.restart_driver()
    cloud.pass_often()
    before.write(b"goes on")
    cloud.forget(volume, waiting)
    # It still counts as one that writes.
    third = cloud.attach(volume, B)
    assert third.information["access_mode"] == "ro"
    cloud.pass_often()
    before.write(b"goes on still")
    cloud.detach(volume, writer)
    with pytest.raises(OSError, match="input/output"):
        before.read()
    assert cloud.acls(volume) == {B["initiator"]}
    assert reader.session.read() == b"goes on still"
    assert cloud.attach(volume, A).information["access_mode"] == "rw"


def test_a_reader_keeps_the_main_disk_when_it_is_told_the_readers(cloud):
    volume = cloud.volume()
    reader = cloud.attach_in_one(volume, A, "ro")
    cloud.watch()
    before = reader.session
    assert _lun(reader) == 0
    cloud.connect(volume, A | {"mode": "ro"}, reader)
    assert _lun(reader) == 1
    cloud.pass_often()
    before.read()
    with pytest.raises(OSError, match="write protected"):
        before.write(b"by a reader")
    cloud.detach(volume, reader)
    assert cloud.acls(volume) is None


def test_a_server_that_asks_to_read_gives_up_the_main_disk_beside_another(cloud):
    volume = cloud.volume()
    first, second = cloud.attach(volume, A), cloud.attach(volume, A, "ro")
    before = first.session
    cloud._write_mode(first, volume, "null")
    cloud.connect(volume, A | {"mode": "ro"}, first)
    cloud.watch()
    with pytest.raises(OSError, match="write protected"):
        before.write(b"by the main disk")
    assert not first.writes()
    assert second.session.read() == first.session.read() == before.read()
    before.logout()
    cloud.reconcile()
    assert _disks(cloud, volume) == {A["initiator"]: (None, True)}


def test_a_writer_that_is_told_to_read_the_main_disk_goes_on_writing(cloud):
    cloud.target.kernel.lack = "made by an older version"
    volume = cloud.volume(**cloud.volume_type(secondary_mode="ro"))
    writer = cloud.attach(volume, A)
    before = writer.session
    cloud.reserve(volume)
    cloud.connect(volume, A, writer)
    assert (_lun(writer), writer.information["access_mode"]) == (0, "ro")
    cloud.pass_often()
    before.write(b"goes on")


def test_an_attachment_that_was_ended_and_comes_back_has_what_it_is_told(cloud):
    volume = cloud.volume(**cloud.volume_type(secondary_mode="ro"))
    first, other = cloud.attach(volume, A), cloud.attach(volume, A)
    cloud.detach(volume, other)
    cloud.terminate(volume, first)  # and its row is not deleted
    second = cloud.attach(volume, B)
    cloud.connect(volume, A, first)
    cloud.watch()
    cloud.reconcile()
    assert (_lun(first), _lun(second)) == (1, 0)
    main_disk = first.information | {"target_lun": 0}
    by_hand = cloud.target.log_in(cloud.load(volume), A, main_disk)
    with pytest.raises(OSError, match="input/output"):
        by_hand.write(b"a second writer")
    assert not first.writes()
    assert second.writes()


def test_a_mode_that_cinder_has_yet_to_write_is_nothing_that_a_host_had(cloud):
    server = "1e6a7d9c-6f0e-4d8b-9f4e-2b1d0c9a7e36"
    volume = cloud.volume()
    cloud.attach(volume, A, "rw", server)
    there = cloud._reserve(volume, server)
    there.information = cloud.manager.attachment_update(
        cloud.context, cloud.load(volume), B | {"mode": None}, there.id
    )
    cloud.attach(volume, B, "ro")
    cloud._write_mode(
        there,
        volume,
        "ro",
        connection_info=there.information,
        attach_status="attached",
    )
    cloud.watch()
    there.session = cloud.target.log_in(cloud.load(volume), B, there.information)
    assert not there.writes()


def test_a_host_of_an_older_version_keeps_the_disk_that_it_was_given(cloud):
    volume = cloud.volume()
    cloud.target.kernel.lack = "made by an older version"
    old = cloud.attach(volume, A, "ro")
    cloud.target.kernel.lack = ""
    writer = cloud.attach(volume, B, "rw")
    _as_by_an_older_version(cloud, volume, old)
    cloud.restart_driver()
    cloud.reconcile()
    new = cloud.attach(volume, A, "ro")
    assert (_lun(old), _lun(new)) == (0, 1)
    assert (old.writes(), new.writes(), writer.writes()) == (False, False, True)
    assert old.session.read() == new.session.read() == b"by a host"
    cloud.detach(volume, old)
    assert new.session.read() == old.session.read() == b"by a host"
    old.session.logout()
    cloud.reconcile()
    assert _disks(cloud, volume)[A["initiator"]] == (None, True)


def test_a_kernel_that_cannot_falls_back_and_says_so(cloud, log):
    cloud.target.kernel.lack = "it has no such module"
    cloud.restart_driver()
    cloud.target.kernel.lack = "it has no such module"
    volume = cloud.volume()
    assert cloud.target.capabilities["readers_disk"] is False
    writer, reader = cloud.attach(volume, A, "rw"), cloud.attach(volume, B, "ro")
    assert _lun(reader) == 0
    assert (writer.writes(), reader.writes()) == (True, False)
    assert log.text.count("it has no such module") == 1
    cloud.target.kernel.lack = ""
    assert _lun(cloud.attach(volume, B, "ro")) == 1
    assert cloud.target.capabilities["readers_disk"] is True
    assert reader.session.read() == b"by a host"


def test_disks_survive_a_restart_with_and_without_the_record(cloud):
    volume = cloud.volume()
    reader, writer = cloud.attach(volume, A, "ro"), cloud.attach(volume, A, "rw")
    for lost in (False, True):
        if lost:
            cloud.record(volume).unlink()
        cloud.restart_driver()
        cloud.reconcile()
        assert (reader.writes(), writer.writes()) == (False, True)
        assert reader.session.read() == b"by a host"


def test_a_lost_readers_disk_comes_back_and_a_left_one_goes(cloud):
    volume = cloud.volume()
    writer, reader = cloud.attach(volume, A, "rw"), cloud.attach(volume, B, "ro")
    assert writer.writes()
    name, kernel = reader.session.name, cloud.target.kernel
    with_it = kernel.read(name)
    cloud.detach(volume, reader)
    assert kernel.read(name).readers is None
    kernel.put(with_it)
    cloud.reconcile()
    assert kernel.read(name).readers is None
    assert writer.writes()


@pytest.mark.parametrize("wanted", [True, False])
def test_writers_discard_where_the_back_end_says_so_and_readers_never(
    cloud, wanted, monkeypatch
):
    layout = cloud.driver._layout
    monkeypatch.setitem(vars(layout), "discard", wanted)
    volume = cloud.volume()
    writer, reader = cloud.attach(volume, A, "rw"), cloud.attach(volume, B, "ro")
    told = [attached.information["discard"] for attached in (writer, reader)]
    assert told == [wanted, False]
    assert cloud.target.kernel.read(writer.session.name).backstore.discard is wanted
