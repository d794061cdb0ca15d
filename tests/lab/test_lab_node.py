# SPDX-License-Identifier: Apache-2.0
"""The lab's nodes: real kernels that say what is wrong with them."""

import time

import pytest

from lab.errors import CommandError, LostNodeError
from lab.plan import VOLUME_GROUP
from lab.single import SingleNode
from tests.lab.health import healthy


def test_a_node_is_a_kernel_of_its_own_with_lvm_and_lio(node: SingleNode) -> None:
    kernel = node.node.run("uname --kernel-release; cat /proc/cmdline")
    assert "lab_node=storage" in kernel
    assert VOLUME_GROUP in node.node.run("vgs --noheadings -o vg_name")
    node.node.run("mkdir --parents /sys/kernel/config/target/iscsi")  # by LIO only


def test_what_is_called_in_a_node_has_the_threads_that_were_asked_for(
    node: SingleNode,
) -> None:
    assert node.node.call("lab.guest.patched", "applies") is node.patched


def test_a_failed_command_tells_the_node_the_status_and_the_output(
    node: SingleNode,
) -> None:
    with pytest.raises(CommandError) as failed:
        node.node.run("echo out; echo err >&2; exit 7")
    assert failed.value.status == 7
    for word in ("storage", "status 7", "out", "err"):
        assert word in str(failed.value)


def test_a_command_that_hangs_is_ended_and_told(node: SingleNode) -> None:
    with pytest.raises(CommandError, match="no end after 1 s"):
        node.node.run("sleep 60", timeout=1)


def test_what_a_session_started_ends_with_it(node: SingleNode) -> None:
    with node.node.session() as session:
        session("os", "system", "sleep 4321 &")
        assert "4321" in node.node.run("pgrep -af 'sleep 4321'")
    for _ in range(50):
        if not node.node.run("pgrep -f '^sleep 4321' || true").strip():
            return
        time.sleep(0.1)
    pytest.fail("the command outlived the session that started it")


def test_an_error_in_the_node_arrives_with_its_own_type(node: SingleNode) -> None:
    with pytest.raises(FileNotFoundError):
        node.node.call("lab.guest.blocks", "read", "/dev/none", 0)


def test_a_lost_node_is_told_with_the_end_of_its_console_and_boots_again(
    node: SingleNode,
) -> None:
    node.node.run(f"lvcreate --yes -L 64m -n survivor {VOLUME_GROUP}")
    node.node.run(f"echo kept > /dev/{VOLUME_GROUP}/survivor; sync")
    with node.node.session() as session:
        node.node.kernel.cut_power()
        assert not node.node.kernel.alive()
        with pytest.raises(
            LostNodeError, match=r"node storage was lost.*run os\.getpid"
        ):
            session("os", "getpid")
    node.boot()
    node.node.run(f"lvchange -ay {VOLUME_GROUP}/survivor")
    kept = node.node.run(f"head -c 4 /dev/{VOLUME_GROUP}/survivor")
    assert kept == "kept"
    node.node.run(f"lvremove --yes {VOLUME_GROUP}/survivor")


def test_a_node_that_is_lost_fails_its_test_and_is_there_for_the_next(
    node: SingleNode,
) -> None:
    with (
        pytest.raises(AssertionError, match="storage was lost:"),
        healthy(node.node),
    ):
        node.node.kernel.cut_power()
    node.mend()
    assert node.node.run("echo here").strip() == "here"
