# SPDX-License-Identifier: Apache-2.0
"""LIO is made ready by whoever needs it first, whatever others have left."""

import errno
import os
import stat
from pathlib import Path

import pytest

from taikun_cinder.privsep import commands, lio, setup
from taikun_cinder.privsep.refusal import KernelRefused
from tests.unit.privsep.node import ImitatedNode

NAME = "iqn.2010-10.org.openstack:volume-1"


@pytest.fixture
def booted(tmp_path):
    """Give a mounted node that has just booted, without any module of LIO's."""
    node = ImitatedNode(str(tmp_path / "db_root"))
    with node.mounted():
        yield node


@pytest.fixture
def mount(tmp_path, monkeypatch):
    """Return a function that puts a script in the place of mount, and unmounts."""
    monkeypatch.setattr(commands, "PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(
        os.path, "ismount", lambda path: (tmp_path / "mounted").exists()
    )

    def write(script):
        (tmp_path / "mount").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "mount").chmod(0o755)

    return write


def test_process_tells_its_own_rights():
    user, power = setup.power.args[0]()
    status = Path("/proc/self/status").read_text()
    assert user == os.geteuid()
    assert f"CapEff:\t{power:016x}" in status


def test_first_look_makes_all_of_lio_ready(booted):
    assert setup.prepare() == []
    assert lio.names("iqn.") == []
    assert Path(booted.machine.db_root, "pr").is_dir()
    assert setup.prepare() == []


def test_folder_is_made_where_the_fabric_was_there_before_us(booted):
    booted.set_up()
    assert not Path(booted.machine.db_root).exists()
    lio.apply(NAME, [("create_target",)])
    folder = Path(booted.machine.db_root, "pr")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_folder_that_was_removed_is_made_anew(booted):
    lio.apply(NAME, [("create_target",)])
    folder = Path(booted.machine.db_root, "pr")
    folder.rmdir()
    lio.apply(NAME, [("create_tpg",)])
    assert folder.is_dir()


def test_folder_above_is_closed_to_others_whatever_the_mask_is(booted):
    # The privileged process has none (oslo_privsep.daemon.Daemon.run).
    mask = os.umask(0)
    try:
        setup.prepare()
    finally:
        os.umask(mask)
    assert stat.S_IMODE(Path(booted.machine.db_root).stat().st_mode) == 0o755


def test_folder_that_cannot_be_made_is_told_and_keeps_nobody_from_attaching(tmp_path):
    (tmp_path / "file").touch()
    node = ImitatedNode(str(tmp_path / "file"))
    with node.mounted():
        assert setup.prepare() == [(f"{tmp_path}/file/pr", errno.ENOTDIR)]
        lio.apply(NAME, [("create_target",)])
        assert lio.names("iqn.") == [NAME]


def test_configfs_that_is_not_mounted_is_mounted(booted, mount, tmp_path):
    mount(f'echo "$@" > {tmp_path}/mounted')
    lio.apply(NAME, [("create_target",)])
    said = (tmp_path / "mounted").read_text()
    assert said == "-t configfs configfs /sys/kernel/config\n"


def test_configfs_that_somebody_else_mounts_meanwhile_is_no_fault(
    booted, mount, tmp_path
):
    mount(f"touch {tmp_path}/mounted; echo busy >&2; exit 32")
    assert setup.prepare() == []


def test_configfs_that_cannot_be_mounted_is_told_as_mount_does(booted, mount):
    mount('echo "mount: /sys/kernel/config: permission denied." >&2; exit 32')
    with pytest.raises(KernelRefused, match="permission denied") as refused:
        setup.prepare()
    assert "mount configfs" in refused.value.doing
    with pytest.raises(KernelRefused):
        lio.apply(NAME, [("create_target",)])


def test_node_without_mount_is_told(booted, monkeypatch, tmp_path):
    monkeypatch.setattr(commands, "PATH", str(tmp_path))
    monkeypatch.setattr(os.path, "ismount", lambda path: False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(KernelRefused, match="run mount"):
        setup.prepare()
