# SPDX-License-Identifier: Apache-2.0
"""A volume group that nodes share: nothing of it is exported where it is not started.

On one kernel: lvmlockd's locks and device mapper are real, the other node is a process
that holds one of them.
"""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from lab.plan import STORAGE_NODE
from lab.single import SingleNode
from tests.lab.guest.shared_group import GROUP, RECORDS
from tests.lab.stories import OURS, Story

_GUEST = "tests.lab.guest.shared_group"
_RUNS, _STOPPED = 0, 7

OPTIONS = {
    "volume_driver": OURS,  # the command goes by it
    "volume_group": GROUP,
    "taikun_state_path": str(RECORDS),
    "taikun_reconcile_interval": "0",
}


@pytest.fixture
def moving(node: SingleNode) -> Iterator[SingleNode]:
    """The node with such a group, and without it behind the test."""
    if missing := node.node.call(_GUEST, "missing"):
        pytest.skip(f"no {', '.join(missing)}: tools/with-packages")
    node.node.call(_GUEST, "make", STORAGE_NODE)
    yield node
    node.node.boot_anew()


def _wait_for_a_session(moving: SingleNode) -> None:
    deadline = time.monotonic() + 60
    while not moving.node.call("lab.guest.initiators", "sessions"):
        assert time.monotonic() < deadline, "the host does not log in again"
        time.sleep(0.5)


def _group(moving: SingleNode, function: str, *arguments: object) -> Any:
    return moving.node.call(_GUEST, function, *arguments)


@pytest.mark.thorough  # packages that no other test needs
def test_nobody_is_let_in_to_a_volume_that_another_node_has(
    moving: SingleNode,
) -> None:
    with moving.backend(OURS, OPTIONS) as backend:
        story = Story(moving, backend)
        name = f"volume-{story.volume}"
        device = story.attach("a")
        moving.node.call("lab.guest.blocks", "write", device, 1, "before")
        story.detach("a")
        _group(moving, "deactivate", name)
        with moving.node.session(timeout=60) as other:
            other(_GUEST, "lock", name)
            reserved = story.driver("reserve", story.volume)
            with pytest.raises(Exception, match="another node has moving/") as refused:
                story.attach("a", reserved)
            assert "lvmlockctl --info" in str(refused.value)
            assert not _group(moving, "is_active", name)
        assert story.targets() == []
        device = story.attach("a", reserved)
        assert moving.node.call("lab.guest.blocks", "read", device, 1) == "before"
        story.detach("a")


@pytest.mark.thorough  # packages that no other test needs
def test_back_end_of_a_shared_group_is_taken_off_a_node_and_back(
    moving: SingleNode,
) -> None:
    with moving.backend(OURS, OPTIONS) as backend:
        story = Story(moving, backend)
        name = f"volume-{story.volume}"
        device = story.attach("a")
        moving.node.call("lab.guest.blocks", "write", device, 1, "before")
    # cinder-volume is gone, and the host has its disk.

    assert _group(moving, "agent", "monitor")[0] == _RUNS
    status, said = _group(moving, "agent", "stop")
    assert status == 0, said
    assert story.targets() == []
    assert _group(moving, "agent", "monitor")[0] == _STOPPED
    _group(moving, "deactivate", name)

    # Where the state volume is not mounted, old records bring nothing back.
    _group(moving, "unmount")
    status, said = _group(moving, "agent", "start")
    assert status != 0
    assert "is not started on this one" in said
    assert not _group(moving, "is_active", name)
    with moving.backend(OURS, OPTIONS) as backend:
        assert not backend.backend("initialized")
    assert story.targets() == []

    _group(moving, "mount")
    status, said = _group(moving, "agent", "start")
    assert status == 0, said
    assert _group(moving, "is_active", name)
    # The host logs in again by itself.
    _wait_for_a_session(moving)
    assert moving.node.call("lab.guest.blocks", "read", device, 1) == "before"
    status, said = _group(moving, "agent", "monitor", 10)
    assert status == _RUNS, said
    status, said = _group(moving, "run_tester")
    assert status == 0, said
    assert "passed all tests" in said
