# SPDX-License-Identifier: Apache-2.0
"""LVM that looks where it must not is told, and only that."""

import pytest

from taikun_cinder.checks.findings import Outcome
from taikun_cinder.checks.lvm_devices import _rejected
from tests.unit.checks.conftest import DEVICE, GROUP


def _device(path, group=""):
    return {**DEVICE, "pv_name": path, "vg_name": group}


def test_lvm_that_keeps_out_of_volumes_is_right(is_right, backend, commands):
    is_right("lvm-inside", backend())


@pytest.mark.parametrize(
    "path", ["/dev/cinder-volumes/volume-1", "/dev/mapper/cinder--volumes-volume--1"]
)
def test_group_of_a_server_that_lvm_sees_is_a_failure(only, backend, commands, path):
    commands.lvm(devices=[DEVICE, _device(path, "tenant")], scan_lvs="1")
    outcome, text, cure = only("lvm-inside", backend())
    assert outcome is Outcome.FAILED
    assert f"such as tenant in {path}" in text
    assert "vgchange --activate n tenant" in cure
    assert "scan_lvs = 0" in cure


def test_lvm_that_looks_into_volumes_is_warned_of_before_it_sees_one(
    only, backend, commands
):
    commands.lvm(scan_lvs="1", global_filter='["a|.*|"]')
    outcome, text, _ = only("lvm-inside", backend())
    assert outcome is Outcome.WARNING
    assert "scan_lvs = 1" in text


def test_filter_that_keeps_lvm_out_of_volumes_is_enough(is_right, backend, commands):
    commands.lvm(scan_lvs="1")
    is_right("lvm-inside", backend())


def test_volume_that_lvm_sees_is_warned_of_whatever_the_settings_say(
    only, backend, commands
):
    commands.lvm(devices=[DEVICE, _device("/dev/cinder-volumes/volume-2")])
    assert only("lvm-inside", backend())[0] is Outcome.WARNING


def test_disk_of_another_group_is_no_volume(is_right, backend, commands):
    commands.lvm(devices=[DEVICE, _device("/dev/mapper/cinder-root", "system")])
    is_right("lvm-inside", backend())


@pytest.mark.parametrize("name", ["filter", "global_filter"])
def test_filter_that_leaves_others_out_is_right(is_right, backend, commands, name):
    filters = {"filter": '["a|.*|"]', "global_filter": '["a|.*|"]'}
    commands.lvm(**{**filters, name: '["a|^/dev/sda|","r|.*|"]'})
    assert "leaves other disks out" in is_right("lvm-foreign", backend())


def test_lvm_that_looks_at_every_disk_is_told(only, backend, commands):
    commands.lvm(global_filter='["r|^/dev/cdrom|"]')
    outcome, text, cure = only("lvm-foreign", backend())
    assert outcome is Outcome.WARNING
    assert "every disk that Cinder attaches to this node" in text
    assert "vgimportdevices --all" in cure


def test_devices_file_is_enough(is_right, only, backend, commands):
    """Its folder is root's: what tells is that LVM ignores a filter by it."""
    every = {"global_filter": '["a|.*|"]', "scan_lvs": "1"}
    commands.lvm(**every, use_devicesfile="1")
    # LVM goes by it only once it is there.
    assert only("lvm-foreign", backend())[0] is Outcome.WARNING
    assert only("lvm-inside", backend())[0] is Outcome.WARNING
    commands.lvm(**every, use_devicesfile="1", devices_file=True)
    assert "system.devices" in is_right("lvm-foreign", backend())
    is_right("lvm-inside", backend())


def test_disk_of_a_group_whose_name_begins_alike_is_no_volume(
    is_right, backend, commands
):
    group = {**GROUP, "vg_name": "cinder"}
    commands.lvm([group], [DEVICE, _device("/dev/mapper/cinder--meta-x", "other")])
    is_right("lvm-inside", backend(volume_group="cinder"))


@pytest.mark.parametrize(
    ("patterns", "path", "rejected"),
    [
        ([], "/dev/sdb", False),
        (["a|.*|"], "/dev/sdb", False),
        (["r|.*|"], "/dev/sdb", True),
        (["r/.*/"], "/dev/sdb", True),
        (["a|^/dev/sdb$|", "r|.*|"], "/dev/sdb", False),
        (["a|^/dev/sdb$|", "r|.*|"], "/dev/sdc", True),
        (["r|^/dev/sdc|"], "/dev/sdb", False),
        (["r|(|", "r|.*|"], "/dev/sdb", False),
    ],
)
def test_first_pattern_that_fits_counts(patterns, path, rejected):
    assert _rejected(patterns, path) is rejected


@pytest.fixture
def own_conf(tmp_path):
    """Give the place of an lvm.conf of Cinder's own."""
    (tmp_path / "lvm.conf").touch()
    return str(tmp_path / "lvm.conf")


@pytest.mark.parametrize("conf", ["None", "none", "/nowhere/lvm.conf"])
def test_one_lvm_conf_agrees_with_itself(is_right, backend, commands, conf):
    said = is_right("lvm-conf", backend(lvm_conf_file=conf))
    assert "all go by the node's lvm.conf" in said


def test_lvm_conf_of_cinders_own_that_agrees_is_right(
    is_right, backend, commands, own_conf
):
    said = is_right("lvm-conf", backend(lvm_conf_file=own_conf))
    assert "shows the same" in said


def test_lvm_conf_that_shows_what_the_node_hides_is_told(
    only, backend, commands, own_conf, tmp_path
):
    shown = '{"report": [{"vg": [%s]}]}'
    group = str(GROUP).replace("'", '"')
    commands.put(
        "vgs",
        f"[ \"$LVM_SYSTEM_DIR\" = {tmp_path} ] && exec echo '{shown % group}'\n"
        f"echo '{shown % ''}'",
    )
    outcome, text, cure = only("lvm-conf", backend(lvm_conf_file=own_conf))
    assert outcome is Outcome.FAILED
    assert f"shows cinder-volumes by {own_conf}" in text
    assert "lvchange and lvremove" in text
    assert "/etc/lvm/lvm.conf" in cure
