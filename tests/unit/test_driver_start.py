# SPDX-License-Identifier: Apache-2.0
"""The driver's start, and what it says about itself."""

import pytest
from cinder import interface

from taikun_cinder.driver import MultiattachLVMDriver
from taikun_cinder.exception import BackendRefused
from tests.unit.memory import InTreeTarget


def test_wrong_target_helper_is_refused_before_its_target_is_made(
    make_driver, monkeypatch
):
    def never(*args, **kwargs):
        pytest.fail("the target was made")

    monkeypatch.setattr("cinder.volume.targets.tgt.TgtAdm", never)
    with pytest.raises(BackendRefused, match="target_helper is tgtadm"):
        make_driver(target_helper="tgtadm")


def test_node_that_cannot_serve_is_refused_at_set_up(make_driver, node, lvm_command):
    driver = make_driver(lvm_conf_file=str(lvm_command))
    (node.proc / "mounts").write_text("")
    with pytest.raises(BackendRefused, match="configfs"):
        driver.check_for_setup_error()


def test_node_that_was_repaired_is_accepted_without_a_restart(
    make_driver, node, lvm_command
):
    driver = make_driver(lvm_type="default", lvm_conf_file=str(lvm_command))
    mounts = (node.proc / "mounts").read_text()
    (node.proc / "mounts").write_text("")
    with pytest.raises(BackendRefused):
        driver.check_for_setup_error()
    (node.proc / "mounts").write_text(mounts)
    driver.check_for_setup_error()


def test_driver_is_one_that_cinder_knows():
    assert MultiattachLVMDriver in interface._volume_register
    assert MultiattachLVMDriver.VERSION


def test_driver_options_include_those_of_the_lvm_driver():
    names = {option.name for option in MultiattachLVMDriver.get_driver_options()}
    assert {"volume_group", "target_helper", "target_ip_address"} <= names


def test_target_is_lio(make_driver):
    assert isinstance(make_driver().target_driver, InTreeTarget)


def test_statistics_make_our_statement(make_driver):
    stats = make_driver(volume_backend_name="shared").get_volume_stats(refresh=True)
    assert stats["vendor_name"] == "taikun_cinder"
    assert stats["driver_version"] == MultiattachLVMDriver.VERSION
    assert stats["storage_protocol"] == "iSCSI"
    assert stats["shared_targets"] is False
    assert [pool["multiattach"] for pool in stats["pools"]] == [True]
    assert stats["pools"][0]["pool_name"] == "shared"


def test_location_lets_cinder_migrate_within_the_node(make_driver):
    stats = make_driver().get_volume_stats(refresh=True)
    assert stats["pools"][0]["location_info"].startswith("LVMVolumeDriver:")


def test_statistics_before_set_up_are_empty(make_driver):
    driver = make_driver()
    driver.vg = None
    assert driver.get_volume_stats(refresh=True) == {}
