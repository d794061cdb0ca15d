# SPDX-License-Identifier: Apache-2.0
"""A wrong configuration is refused at start; the error names option and cure."""

from collections.abc import Sequence

import pytest

from lab.node import Call
from lab.single import SingleNode


def _refusal(node: SingleNode, options: dict[str, str]) -> str:
    """Start a back end that must not come up; give what the operator reads."""
    log = node.node.kernel.console.with_name("cinder-volume.log")
    before = len(log.read_text()) if log.exists() else 0
    with node.node.session() as process:
        try:
            started = _start(process, options)
        except Exception as refused:
            return str(refused)
        assert started is False
    return log.read_text()[before:]


def _start(process: Call, options: dict[str, str]) -> bool:
    driver = "taikun_cinder.driver.MultiattachLVMDriver"
    return bool(process("lab.guest.volume", "start", driver, options))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"target_helper": "tgtadm"},
            ["target_helper", "tgtadm", "target_helper = lioadm", "[lvm-shared]"],
        ),
        ({"target_protocol": "iser"}, ["target_protocol", "iser", "iscsi"]),
        ({"lvm_share_target": "true"}, ["lvm_share_target"]),
        (
            {"volume_group": "no-such-group"},
            ["volume_group", "no-such-group", "cinder-volumes", "vgcreate"],
        ),
        (
            {"taikun_reconcile_interval": "-1", "taikun_secondary_mode": "RO"},
            [
                "2 thing(s)",
                "taikun_reconcile_interval",
                "greater than or equal to 0",
                "taikun_secondary_mode",
                "[rw, ro, deny]",
                "[lvm-shared]",
            ],
        ),
    ],
    ids=["target_helper", "target_protocol", "share_target", "volume_group", "range"],
)
def test_a_wrong_option_is_refused_by_name_with_its_cure(
    node: SingleNode, options: dict[str, str], words: Sequence[str]
) -> None:
    refusal = _refusal(node, options)
    for word in words:
        assert word in refusal


def test_a_node_without_configfs_is_refused(node: SingleNode) -> None:
    node.node.call("tests.lab.guest.faults", "unmount_configfs")
    try:
        refusal = _refusal(node, {})
    finally:
        node.node.call("tests.lab.guest.faults", "mount_configfs")
    assert "configfs is not mounted at /sys/kernel/config" in refusal
    assert "mount -t configfs" in refusal


def test_a_kernel_without_lio_is_refused(node: SingleNode) -> None:
    node.node.call("tests.lab.guest.faults", "hide_modules")
    try:
        refusal = _refusal(node, {})
    finally:
        node.node.call("tests.lab.guest.faults", "show_modules")
    release = node.node.run("uname -r").strip()
    for word in ("iscsi_target_mod", release, "modprobe"):
        assert word in refusal


def test_a_right_configuration_starts(node: SingleNode) -> None:
    with node.node.session() as process:
        assert _start(process, {}) is True
