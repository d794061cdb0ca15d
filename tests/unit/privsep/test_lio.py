# SPDX-License-Identifier: Apache-2.0
"""The calls of the privileged process: what is done, and what is told if it is not."""

import errno
from pathlib import Path

import pytest

from taikun_cinder.privsep import cipher, lio
from taikun_cinder.privsep.refusal import KernelRefused
from tests.contract.suite import A, grant
from tests.unit.privsep.configfs import Folder, refuse
from tests.unit.privsep.node import ImitatedNode
from tests.unit.privsep.target_core import CORE, ISCSI

NAME = "iqn.2010-10.org.openstack:volume-1"
KEY = cipher.new_key()


@pytest.fixture
def booted(tmp_path):
    """Give a mounted node that has just booted, without any module of LIO's."""
    node = ImitatedNode(str(tmp_path / "db_root"))
    with node.mounted():
        yield node


def test_first_change_makes_all_of_lio_ready(booted):
    nothing = {"backstore": None, "readers": None, "target": None}
    assert lio.read(NAME, KEY) == nothing
    assert lio.names("") == []
    lio.apply(NAME, [("create_target",)])
    assert booted.machine.loaded >= {CORE, ISCSI}
    assert Path(booted.machine.db_root, "pr").is_dir()
    assert lio.names("iqn.") == [NAME]


def test_lio_that_is_loaded_in_part_is_made_ready(booted):
    booted.modprobe()
    booted.machine.loaded.discard(ISCSI)
    lio.apply(NAME, [("create_target",)])
    assert ISCSI in booted.machine.loaded
    assert Path(booted.machine.db_root, "pr").is_dir()


def test_kernel_without_lio_is_told_before_any_step(booted):
    booted.machine.installed.clear()
    with pytest.raises(KernelRefused) as caught:
        lio.apply(NAME, [("create_target",)])
    assert (caught.value.step, caught.value.number) == (-1, errno.ENOPKG)


def test_kernel_without_iscsi_is_told_before_any_step(booted):
    booted.modprobe()
    booted.machine.installed.discard(ISCSI)
    booted.machine.loaded.discard(ISCSI)
    with pytest.raises(KernelRefused, match="set up LIO") as caught:
        lio.apply(NAME, [("create_target",)])
    assert (caught.value.step, caught.value.number) == (-1, errno.EINVAL)


def test_failed_step_is_told_by_its_number_and_those_before_it_were_done(booted):
    with pytest.raises(KernelRefused, match="map lun") as caught:
        lio.apply(
            NAME,
            [
                ("create_target",),
                ("create_tpg",),
                ("create_acl", str(A)),
                ("map_lun", str(A), True, 0),
                ("enable_tpg",),
            ],
        )
    assert caught.value.step == 3
    tpg = lio.read(NAME, KEY)["target"]["tpg"]
    assert tpg["acls"].keys() == {str(A)}
    assert tpg["enabled"] is False


def test_names_are_of_targets_and_of_backstores_that_lost_theirs(lab):
    lab.ensure(lab.export(grant(A)))
    lab.node.make("core/iblock_0")
    lab.node.make("core/iblock_0/iqn.2010-10.org.openstack:left-behind")
    lab.node.make("iscsi/iqn.2026-11.com.example:another")
    with lab.node.mounted():
        found = lio.names("iqn.2010-10.org.openstack:")
        assert lio.names("iqn.") == found
        with pytest.raises(ValueError, match="target_prefixes"):
            lio.names("iqn.2026-11.com.example:")
    assert found == ["iqn.2010-10.org.openstack:left-behind", lab.name]


@pytest.mark.parametrize("bad", ["volume-1", "iqn.2010-10.org/../x", 7])
def test_bad_name_is_refused_by_every_call(booted, bad):
    with pytest.raises(ValueError, match=r"\w"):
        lio.read(bad, KEY)
    with pytest.raises(ValueError, match=r"\w"):
        lio.apply(bad, [])


class _Broken(Folder):
    @property
    def names(self):
        return refuse(errno.EIO)


def test_what_cannot_be_listed_is_told(booted):
    booted.modprobe()
    booted.configfs.folder("target").add("iscsi", _Broken())
    with pytest.raises(KernelRefused, match="list") as caught:
        lio.names("")
    assert (caught.value.step, caught.value.number) == (-1, errno.EIO)
