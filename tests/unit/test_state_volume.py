# SPDX-License-Identifier: Apache-2.0
"""Records that are on their group's own disk move with it, and no copy of them does."""

import dataclasses
import json

import pytest

from taikun_cinder import state_volume
from taikun_cinder.access.attachment import Connection
from taikun_cinder.access.ledger import Ledger
from taikun_cinder.access.model import Export, Grant, Mode
from taikun_cinder.records import Records
from taikun_cinder.state_volume import StateVolume
from taikun_cinder.volume_record import About, Record
from tests.unit.targets.lio.states import CREDENTIALS, HOSTS, PORTALS

A = HOSTS[0]
VOLUME = {"id": "1", "name_id": "1", "name": "volume-1"}


@pytest.mark.parametrize(
    ("mapped", "group"),
    [
        ("vg-state", "vg"),
        ("cinder--volumes-state", "cinder-volumes"),
        ("a----b-lv--1", "a--b"),
        ("vg-lv-cow", None),
        ("luks", None),
    ],
)
def test_group_is_read_from_device_mappers_name(
    tmp_path, mount_state_volume, mapped, group
):
    mount_state_volume(mapped)
    wanted = group and StateVolume(group, "LVM-group-volume")
    assert state_volume.below(tmp_path / "not" / "there yet") == wanted


def test_disk_that_is_no_logical_volume_moves_nowhere(tmp_path, mount_state_volume):
    assert state_volume.below(tmp_path) is None
    mount_state_volume(uuid="CRYPT-LUKS2-of-a-disk")
    assert state_volume.below(tmp_path) is None


def test_root_file_system_moves_nowhere(tmp_path, mount_state_volume, monkeypatch):
    mount_state_volume()
    monkeypatch.setattr(state_volume, "_ROOT", tmp_path)
    assert state_volume.below(tmp_path) is None


def _record(**about):
    grant = Grant(A, CREDENTIALS[A], Mode.RW)
    export = Export(
        "iqn.2010-10.org.openstack:volume-1",
        "/dev/cinder-volumes/volume-1",
        "serial",
        frozenset(PORTALS[:1]),
        frozenset({grant}),
    )
    ledger = Ledger((Connection("mark", grant, 5.0),), {("attachment", None): 7.0})
    elsewhere = {"node": "another", "machine": "another"}
    return Record(export, ledger, About("1", "ha@lvm", **elsewhere, **about))


def test_what_another_node_left_on_the_state_volume_is_believed(
    tmp_path, mount_state_volume
):
    mount_state_volume()
    records = Records(tmp_path / "records")
    records.save("1", _record(state_volume=records.state_volume("cinder-volumes")))
    found = records.of(VOLUME)
    assert found is not None
    assert found.export == _record().export
    assert not found.was_written_here


@pytest.mark.parametrize("uuid", ["LVM-group-snapshot", None])
def test_copy_is_believed_on_no_other_node(tmp_path, mount_state_volume, uuid):
    if uuid:
        mount_state_volume(uuid=uuid)
    records = Records(tmp_path / "records")
    records.save("1", _record(state_volume="LVM-group-volume"))
    assert records.of(VOLUME) is None


def test_node_goes_on_by_its_own_records_wherever_it_puts_them(tmp_path):
    records, own = Records(tmp_path / "records"), About("1", "ha@lvm")
    about = dataclasses.replace(own, state_volume="LVM-group-volume")
    records.save("1", dataclasses.replace(_record(), about=about))
    assert records.of(VOLUME) is not None


def test_file_cannot_say_that_it_is_where_it_belongs(tmp_path):
    records = Records(tmp_path)
    records.save("1", _record(state_volume="LVM-group-volume"))
    file = tmp_path / "1.json"
    plain = json.loads(file.read_text())
    plain["about"] |= {"found_on": "LVM-group-volume", "state_volume": "LVM-other"}
    file.write_text(json.dumps(plain))
    assert records.of(VOLUME) is None


def test_older_versions_read_what_moves_too(tmp_path):
    records = Records(tmp_path)
    records.save("1", _record(state_volume="LVM-group-volume"))
    about = json.loads((tmp_path / "1.json").read_text())["about"]
    assert about.keys() == {"volume", "backend", "node", "machine"}


def test_times_of_another_node_are_as_old_as_now():
    ledger = _record().ledger.as_of(3.0)
    assert ledger.connections[0].since == 3.0
    assert ledger.ended == {("attachment", None): 3.0}
