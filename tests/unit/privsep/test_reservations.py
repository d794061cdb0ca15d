# SPDX-License-Identifier: Apache-2.0
"""Persistent reservations come back with a new backstore, and only with its serial."""

import errno
import os
import stat
from pathlib import Path

import pytest

from taikun_cinder.privsep import backstores, moving, ours, reservations
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
        reservations.restore(backstores.place(NAME), SERIAL, "vg")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def mount(tmp_path, monkeypatch):
    """Return a function that mounts a logical volume; its folder for reservations."""
    # The imitated device mapper goes by the end of the path.
    info = tmp_path / "mountinfo"
    info.touch()
    monkeypatch.setattr(moving, "_MOUNTS", info)
    monkeypatch.setattr(ours, "_above", lambda place: iter([str(Path(place).parent)]))

    def mount(group="vg", *, root="/", name="state", device=None):
        place = tmp_path / group / name
        folder = place / moving.FOLDER
        folder.mkdir(mode=0o700, parents=True)
        written = str(place).replace(" ", r"\040")
        number = device or os.stat(place).st_dev
        device = f"{os.major(number)}:{os.minor(number)}"
        line = f"36 35 {device} {root} {written} rw,noatime shared:1 - ext4 x rw\n"
        with info.open("ab") as file:
            file.write(os.fsencode(line))
        return folder

    return mount


def test_reservations_of_a_group_that_moves_are_on_its_disk(node, mount):
    for other in ("other", "vg-x", "x-vg"):
        mount(other)
    folder = mount()
    save(node, SERIAL, "what this node knew before the last move")
    (folder / f"aptpl_{SERIAL}").write_text(SAVED)
    backstores.create(NAME, DEVICE, SERIAL)
    assert len(registrations(node)) == 2
    save(node, SERIAL, "what the kernel writes")
    assert (folder / f"aptpl_{SERIAL}").read_text() == "what the kernel writes"
    save(node, SERIAL, SAVED)
    backstores.remove(NAME)
    backstores.create(NAME, DEVICE, SERIAL)
    assert len(registrations(node)) == 2


def test_nothing_of_another_time_is_restored_where_the_disk_has_nothing(node, mount):
    folder = mount(name="a place")
    save(node, SERIAL, SAVED)
    backstores.create(NAME, DEVICE, SERIAL)
    assert registrations(node) == []
    save(node, SERIAL, "what the kernel writes")
    assert (folder / f"aptpl_{SERIAL}").read_text() == "what the kernel writes"


def test_group_that_moves_no_more_has_its_reservations_here(node, mount, monkeypatch):
    mount()
    backstores.create(NAME, DEVICE, SERIAL)
    backstores.remove(NAME)
    moving._MOUNTS.write_text("")
    backstores.create(NAME, DEVICE, SERIAL)
    assert not Path(node.machine.db_root, "pr", f"aptpl_{SERIAL}").is_symlink()


@pytest.mark.parametrize("shared", ["writable", "sticky", "link", "above", "owner"])
def test_folder_that_others_can_change_is_not_used(node, mount, monkeypatch, shared):
    folder = mount()
    if shared == "writable":
        folder.chmod(0o770)
    elif shared == "sticky":
        folder.chmod(0o1777)
    elif shared == "link":
        elsewhere = folder.with_name("elsewhere")
        folder.rename(elsewhere)
        folder.symlink_to(elsewhere)
    elif shared == "above":
        folder.parent.chmod(0o777)
    elif os.geteuid():
        pytest.skip("only root can give a folder to somebody else")
    else:
        os.chown(folder, 12345, 12345)
    save(node, SERIAL, SAVED)
    backstores.create(NAME, DEVICE, SERIAL)
    assert len(registrations(node)) == 2
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("strange", ["\r", "\v", "\x85", "\u2028", "\udcff"])
def test_strange_name_of_a_mount_point_disturbs_nothing(node, mount, strange):
    mount("other", name=f"a{strange}b{strange}c")
    folder = mount()
    backstores.create(NAME, DEVICE, SERIAL)
    save(node, SERIAL, "what the kernel writes")
    assert len(list(folder.iterdir())) == 1


def test_tenants_volume_that_is_mounted_has_no_say(node, mount):
    folder = mount(name="volume-0e7c4d5a-52b4-4d0c-8f3e-6a1b2c3d4e5f")
    backstores.create(NAME, DEVICE, SERIAL)
    save(node, SERIAL, "what the kernel writes")
    assert list(folder.iterdir()) == []


def test_what_is_mounted_over_the_state_volume_has_no_say(node, mount):
    folder = mount(device=os.makedev(253, 7))
    backstores.create(NAME, DEVICE, SERIAL)
    save(node, SERIAL, "what the kernel writes")
    assert list(folder.iterdir()) == []


def test_part_of_a_file_system_is_not_taken_for_its_top(node, mount):
    folder = mount(root="/records")
    backstores.create(NAME, DEVICE, SERIAL)
    save(node, SERIAL, "what the kernel writes")
    assert list(folder.iterdir()) == []


def test_disk_is_exported_though_the_place_of_its_reservations_cannot_be_changed(
    node, mount, monkeypatch
):
    mount()
    save(node, SERIAL, SAVED)

    def refuse(*_):
        raise OSError(errno.EROFS, "read-only")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    backstores.create(NAME, DEVICE, SERIAL)
    assert registrations(node) == []
    assert node.in_use(DEVICE)
