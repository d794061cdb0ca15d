# SPDX-License-Identifier: Apache-2.0
"""Readers' backstores: hardened before anybody sees them, and found without a walk."""

import errno

import pytest

from taikun_cinder.access.model import Mode
from taikun_cinder.privsep import backstores, checks, lio, readers
from taikun_cinder.privsep.refusal import KernelRefused
from taikun_cinder.targets.lio.states import (
    CHANGING,
    PASSABLE,
    READERS_SUFFIX,
    readers_serial,
)
from tests.contract.suite import A, B, C, grant, reader
from tests.unit.privsep.node import ImitatedNode

NAME = "iqn.2010-10.org.openstack:volume-1"


def _core(node):
    core = node.configfs.folder("target/core")
    return {
        f"{hba}/{name}"
        for hba, found in core.folders.items()
        for name in found.folders
        if hba != "alua"
    }


def _below_target(folder):
    return folder.removeprefix(f"{backstores.ROOT}/")


def test_both_halves_mean_the_same():
    for folder in readers.places(NAME):
        assert folder.endswith(f"/{NAME}{READERS_SUFFIX}")
    assert set(readers.CHANGING) == CHANGING
    assert checks.PASSABLE.keys() == PASSABLE


def test_serial_is_one_of_its_own():
    ours = "0a1b2c3d-4e5f-4061-8293-a4b5c6d7e8f9"
    assert readers_serial(ours) == readers_serial(ours) != ours
    # No volume's own: those are of version 4, and the world-wide name has that digit.
    assert readers_serial(ours)[14] == "5"


@pytest.fixture
def node(tmp_path):
    """A node that has just booted."""
    return ImitatedNode(str(tmp_path / "target"))


def _kinds(node):
    return [folder.partition("_")[0] for folder in sorted(_core(node))]


def test_kernel_that_shares_devices_or_clears_memory_lacks_nothing_and_keeps_nothing(
    node,
):
    with node.mounted():
        assert lio.lack_of_readers_disk() == ""
        node.machine.shares_devices = False
        assert lio.lack_of_readers_disk() == ""
        node.machine.shares_devices, node.machine.clears_memory = True, False
        assert lio.lack_of_readers_disk() == ""
    assert _core(node) == set()


@pytest.mark.parametrize("loaded", [False, True])
def test_module_that_is_missing_is_named(node, loaded):
    node.machine.shares_devices = False
    node.machine.installed.discard("target_core_file")
    with node.mounted():
        if loaded:  # the kernel asks for all kinds once, and never again
            node.set_up()
            lio.lack_of_readers_disk()
        assert "target_core_file cannot be had" in lio.lack_of_readers_disk()
        node.machine.installed.add("target_core_file")
        assert lio.lack_of_readers_disk() == ""
    assert _core(node) == set()


#: What a kernel that cannot share devices may lack, and what is said of it.
_LACKS = [
    ({"reads_past_caches": False}, "fd_async_io"),
    ({"clears_memory": False}, "does not clear the memory"),
]


def _is_to_lack(machine, lack):
    machine.shares_devices = False
    for name, value in lack.items():
        setattr(machine, name, value)


@pytest.mark.parametrize(("lack", "said"), _LACKS)
def test_kernel_that_cannot_show_readers_a_disk_is_found_out(node, lack, said):
    _is_to_lack(node.machine, lack)
    device = node.add_device("/dev/vg/volume-1")
    with node.mounted():
        assert said in lio.lack_of_readers_disk()
        assert "exclusive=0" in lio.lack_of_readers_disk()
        with pytest.raises(KernelRefused, match=said) as caught:
            lio.apply(NAME, [("create_readers", device, "5")])
    assert caught.value.number == errno.EOPNOTSUPP
    assert _core(node) == set()
    assert not node.in_use(device)


def test_where_nobody_knows_no_new_host_gets_one_and_who_has_one_keeps_it(lab):
    _is_to_lack(lab.node.machine, {"clears_memory": None})
    with lab.node.mounted():
        said = lio.lack_of_readers_disk()
    assert "neither the kernel's parameters nor a configuration" in said
    lab.ensure(lab.export(grant(A), reader(B)))  # as when the node has booted
    assert lab.login(reader(B)).alive


@pytest.mark.parametrize(("lack", "said"), _LACKS)
def test_such_a_kernel_gives_writers_their_disk_and_names_what_it_cannot(
    lab, lack, said
):
    _is_to_lack(lab.node.machine, lack)
    both = lab.export(grant(A), reader(B), reader(C, Mode.RW))
    result = lab.target.ensure(lab.name, both)
    assert result.without_readers_disk == {B, C}
    (finding,) = (one for one in result.left if "create readers" in str(one))
    assert said in str(finding)
    lab.login(grant(A)).write(b"let in")
    lab.login(grant(C)).write(b"let in too")
    lab.refused(reader(B))
    lab.node.machine.shares_devices = True
    lab.ensure(both)


def test_readers_share_the_device_by_a_block_backstore_where_the_kernel_can(lab):
    lab.ensure(lab.export(grant(A), reader(B)))
    assert _kinds(lab.node) == ["iblock", "iblock"]


@pytest.mark.parametrize("shares", [True, False])
def test_disk_has_one_name_on_a_host_whatever_kind_it_is_of(lab, shares):
    lab.node.machine.shares_devices = shares
    lab.ensure(lab.export(grant(A), reader(B)))
    with lab.node.mounted():
        folder = readers.existing(lab.name)
    assert lab.node.get(f"{_below_target(folder)}/wwn/product_id") == "FILEIO"


def test_trial_that_a_killed_process_left_behind_is_removed(node):
    with node.mounted():
        lio.lack_of_readers_disk()
        left = _below_target(backstores.place("trial", "iblock_"))
        node.make(left.rpartition("/")[0])
        node.make(left)
        assert lio.lack_of_readers_disk() == ""
    assert _core(node) == set()


def test_one_of_each_kind_is_told_by_the_one_that_hosts_see(lab):
    lab.node.machine.shares_devices = False
    desired = lab.export(grant(A), reader(B))
    lab.ensure(desired)
    block, for_files = map(_below_target, readers.places(lab.name))
    lab.node.make(block.rpartition("/")[0])
    lab.node.make(block)
    option = f"exclusive=0,udev_path={lab.device}"
    lab.node.machine.shares_devices = True
    lab.node.put(f"{block}/control", option)
    lab.node.put(f"{block}/enable", "1")
    lab.node.put(f"{for_files}/attrib/emulate_pr", "1")
    assert lab.target.findings(lab.name, desired)
    lab.ensure(desired)
    assert lab.node.get(f"{for_files}/attrib/emulate_pr") == "0"
    lab.ensure(None)
    assert _core(lab.node) == set()


def test_disk_of_before_goes_on_where_a_kernel_is_not_trusted_any_more(lab):
    machine = lab.node.machine
    machine.shares_devices = False
    desired = lab.export(grant(A), reader(B))
    lab.ensure(desired)
    assert _kinds(lab.node) == ["fileio", "iblock"]
    session = lab.login(reader(B))
    machine.clears_memory = False
    lab.ensure(desired)
    assert session.alive
    lab.ensure(lab.export(grant(A)))
    assert _kinds(lab.node) == ["iblock"]


@pytest.mark.parametrize("shares", [True, False])
def test_half_built_one_of_another_kind_is_not_left_behind(lab, shares):
    lab.ensure(lab.export(grant(A)))
    lab.node.machine.shares_devices = shares
    with lab.node.mounted():
        for folder in readers.places(lab.name):
            place = _below_target(folder)
            lab.node.make(place.rpartition("/")[0])
            lab.node.make(place)
    lab.ensure(lab.export(grant(A), reader(B)))
    assert _kinds(lab.node) == ["iblock" if shares else "fileio", "iblock"]
    lab.ensure(None)
    assert _core(lab.node) == set()


def test_lun_of_a_block_backstore_that_only_has_the_readers_name_is_not_theirs(lab):
    desired = lab.export(grant(A))
    lab.ensure(desired)
    impostor = f"core/iblock_5/{lab.name}{READERS_SUFFIX}"
    lab.node.make("core/iblock_5")
    lab.node.make(impostor)
    lab.node.put(f"{impostor}/control", f"exclusive=0,udev_path={lab.device}")
    lab.node.put(f"{impostor}/enable", "1")
    lab.node.make(f"{lab.tpg}/lun/lun_1")
    lab.node.link(f"{lab.tpg}/lun/lun_1/x", impostor)
    found = lab.kernel.read(lab.name)
    assert found.luns == {0: lab.name, 1: f"iblock_5/{lab.name}{READERS_SUFFIX}"}
    assert found.readers is None
    desired = lab.export(grant(A), reader(B))
    lab.ensure(desired)
    assert lab.kernel.read(lab.name).luns[1] == f"{lab.name}{READERS_SUFFIX}"


def test_readers_lun_is_shown_write_protected_only(lab):
    lab.ensure(lab.export(grant(A), reader(B)))
    for change in ("map_lun", "set_write_protect"):
        with lab.node.mounted(), pytest.raises(KernelRefused) as caught:
            lio.apply(lab.name, [(change, str(B), False, 1)])
        assert caught.value.number == errno.EPERM
    with lab.node.mounted(), pytest.raises(ValueError, match="LUN of ours"):
        lio.apply(lab.name, [("map_lun", str(B), True, 2)])


@pytest.mark.parametrize("attribute", sorted(CHANGING))
def test_attribute_that_somebody_turned_on_is_turned_off_again(lab, attribute):
    desired = lab.export(grant(A), reader(B))
    lab.ensure(desired)
    session = lab.login(reader(B))
    with lab.node.mounted():
        folder = readers.existing(lab.name)
    path = f"{_below_target(folder)}/attrib/{attribute}"
    lab.node.put(path, "1")
    assert lab.target.findings(lab.name, desired)
    lab.ensure(desired)
    assert lab.node.get(path) == "0"
    assert session.alive


def test_one_that_lost_its_target_is_listed_by_the_targets_name_and_removed(lab):
    lab.ensure(lab.export(grant(A), reader(B)))
    with lab.node.mounted():
        lio.apply(lab.name, [("remove_target",), ("remove_backstore",)])
        assert lio.names("iqn.") == [lab.name]
    lab.ensure(None)
    assert not lab.node.in_use(lab.device)
    assert _core(lab.node) == set()
