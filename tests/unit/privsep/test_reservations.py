# SPDX-License-Identifier: Apache-2.0
"""Persistent reservations come back with a new backstore, and only with its serial."""

import stat
from pathlib import Path

import pytest

from taikun_cinder.privsep import backstores, reservations
from tests.unit.privsep.node import ImitatedNode

NAME = "iqn.2010-10.org.openstack:volume-1"
DEVICE, SERIAL = "/dev/vg/volume-1", "0123456789abcdef"

#: As core_scsi3_update_aptpl_buf() of the kernel writes it.
SAVED = """PR_REG_START: 0
initiator_fabric=iSCSI
initiator_node=iqn.2026-11.com.example:a
initiator_sid=00023d000001
sa_res_key=11256099
res_holder=1
res_type=05
res_scope=00
res_all_tg_pt=0
mapped_lun=0
target_fabric=iSCSI
target_node=iqn.2010-10.org.openstack:volume-1
tpgt=1
port_rtpi=1
target_lun=0
PR_REG_END: 0
PR_REG_START: 1
initiator_node=iqn.2026-11.com.example:b
sa_res_key=2
target_node=iqn.2010-10.org.openstack:volume-1
PR_REG_END: 1
"""


@pytest.fixture
def node(mounted):
    """Give the mounted node, with a device and a folder for reservations."""
    mounted.add_device(DEVICE)
    reservations.prepare()
    return mounted


def registrations(node):
    found = node.configfs.folder(f"target/{place()}")
    return [
        dict(item.split("=") for item in registration.split(","))
        for registration in found.registrations
    ]


def place():
    return "/".join(backstores.place(NAME).split("/")[-3:])


def save(node, serial, text):
    Path(node.machine.db_root, "pr", f"aptpl_{serial}").write_text(text)


def test_folder_is_made_where_the_kernel_says_and_is_closed_to_others(node):
    for _ in range(2):
        reservations.prepare()
    folder = Path(node.machine.db_root, "pr")
    assert reservations.folder() == folder
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_reservations_come_back_before_anybody_can_see_the_device(node):
    save(node, SERIAL, SAVED)
    backstores.create(NAME, DEVICE, SERIAL)
    first, second = registrations(node)
    assert first["initiator_node"] == "iqn.2026-11.com.example:a"
    assert (first["sa_res_key"], first["res_type"]) == ("11256099", "05")
    assert second["initiator_node"] == "iqn.2026-11.com.example:b"


def test_reservations_of_another_serial_stay_where_they_are(node):
    save(node, "another", SAVED)
    backstores.create(NAME, DEVICE, SERIAL)
    assert registrations(node) == []


def test_reservations_that_the_kernel_refuses_are_an_error(node):
    save(node, SERIAL, "PR_REG_START: 0\nsa_res_key=1\nPR_REG_END: 0\n")
    with pytest.raises(OSError, match="Invalid argument") as caught:
        backstores.create(NAME, DEVICE, SERIAL)
    assert caught.value.filename.endswith("res_aptpl_metadata")
    assert not node.in_use(DEVICE)


def test_without_lio_there_is_no_folder_and_nothing_to_prepare(tmp_path):
    with ImitatedNode(str(tmp_path / "db_root")).mounted():
        assert reservations.folder() is None
        reservations.prepare()
        reservations.restore(backstores.place(NAME), SERIAL)
    assert list(tmp_path.iterdir()) == []
