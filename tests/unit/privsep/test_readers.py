# SPDX-License-Identifier: Apache-2.0
"""Readers' backstores: hardened before anybody sees them, and found without a walk."""

import errno

import pytest

from taikun_cinder.access.model import Mode
from taikun_cinder.privsep import checks, lio, readers
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


def test_both_halves_mean_the_same():
    assert readers.place(NAME).endswith(f"/{NAME}{READERS_SUFFIX}")
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


def test_kernel_that_reads_past_caches_lacks_nothing_and_keeps_nothing(node):
    with node.mounted():
        assert lio.lack_of_readers_disk() == ""
    assert _core(node) == set()


@pytest.mark.parametrize("loaded", [False, True])
def test_module_that_is_missing_is_named(node, loaded):
    node.machine.installed.discard("target_core_file")
    with node.mounted():
        if loaded:  # the kernel asks for all kinds once, and never again
            node.set_up()
            lio.lack_of_readers_disk()
        assert "target_core_file" in lio.lack_of_readers_disk()
        node.machine.installed.add("target_core_file")
        assert lio.lack_of_readers_disk() == ""
    assert _core(node) == set()


def test_kernel_that_takes_the_option_and_ignores_it_is_found_out(node):
    node.machine.reads_past_caches = False
    device = node.add_device("/dev/vg/volume-1")
    with node.mounted():
        assert "fd_async_io" in lio.lack_of_readers_disk()
        with pytest.raises(KernelRefused) as caught:
            lio.apply(NAME, [("create_readers", device, "5")])
    assert caught.value.number == errno.EOPNOTSUPP
    assert _core(node) == set()
    assert not node.in_use(device)


def test_old_kernel_gives_writers_their_disk_and_names_what_it_cannot(lab):
    lab.node.machine.reads_past_caches = False
    both = lab.export(grant(A), reader(B), reader(C, Mode.RW))
    result = lab.target.ensure(lab.name, both)
    assert result.without_readers_disk == {B, C}
    assert any("create readers" in str(finding) for finding in result.left)
    lab.login(grant(A)).write(b"let in")
    lab.login(grant(C)).write(b"let in too")
    lab.refused(reader(B))
    lab.node.machine.reads_past_caches = True
    lab.ensure(both)


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
    hba = readers.place(lab.name).split("/")[-2]
    path = f"core/{hba}/{lab.name}{READERS_SUFFIX}/attrib/{attribute}"
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
