# SPDX-License-Identifier: Apache-2.0
"""A host whose attachment ended without a log-out heals by itself when it comes back.

It connects by os-brick, and nobody logs it out by hand.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab.guest.iscsi import REPLACEMENT_TIMEOUT
from lab.plan import STORAGE_NODE
from lab.single import SingleNode
from tests.lab.stories import OURS, Story, told

_HOST = "lab.guest.host"
_STEADY = "lab.guest.steady"

#: open-iscsi tries a lost session again every few seconds, and a host that comes in
#: anew has its own login time-out (lab/guest/iscsi.py).
_PATIENCE = 60.0

Information = dict[str, Any]


def _deleted(story: Story, information: Information) -> None:
    """Delete the attachment, as Nova does for a server that it evacuates."""
    story.driver("detach", information["attachment_id"])


def _force_detached(story: Story, information: Information) -> None:
    """Detach by hand: an operator knows the host by its initiator's name."""
    fence = {"initiator": STORAGE_NODE.initiator}
    story.driver("terminate", story.volume, fence)
    story.driver("legacy_detach", story.volume, information["attachment_id"])


def _reconciled(story: Story, information: Information) -> None:
    """Delete the row while the driver does not know."""
    story.driver("forget_attachment", information["attachment_id"])
    for _ in range(2):  # a host that is logged in has to be missed twice
        story.driver("reconcile")


def _attach(story: Story) -> Information:
    connector = story.connector(STORAGE_NODE.name)
    return dict(story.driver("attach", story.volume, connector))


def _wait_until(story: Story, what: str, done: Callable[[], bool]) -> None:
    began = time.monotonic()
    while not done():
        if time.monotonic() > began + _PATIENCE:
            print(story.shell("dmesg | tail -40; iscsiadm -m session -P 3"))
            pytest.fail(f"in {_PATIENCE:.0f} s it did not come true that {what}")
        time.sleep(0.5)
    print(f"it took {time.monotonic() - began:.1f} s until {what}")


@pytest.mark.in_turn(6)
@pytest.mark.parametrize("others", [True, False], ids=["shared", "alone"])
@pytest.mark.parametrize("end", [_deleted, _force_detached, _reconciled])
def test_a_host_that_was_cut_off_gets_its_disk_back(
    node: SingleNode, end: Callable[[Story, Information], None], others: bool
) -> None:
    with told(node, OURS) as story:
        if others:
            # Not logged in: os-brick would take its session for this host's.
            story.driver("attach", story.volume, story.connector("b"))
        before = _attach(story)
        disk = story.guest(_HOST, "connect", before)
        run = story.guest(_STEADY, "begin", disk["path"], 5)

        end(story, before)  # and nova-compute is dead
        time.sleep(REPLACEMENT_TIMEOUT + 2)
        cut_off = story.guest(_STEADY, "so_far", run)
        assert cut_off["errors"]

        again = _attach(story)
        assert again["auth_password"] == before["auth_password"]
        disk = story.guest(_HOST, "connect", again)
        _wait_until(
            story,
            "the application writes on",
            lambda: story.guest(_STEADY, "so_far", run)["writes"] > cut_off["writes"],
        )
        writes = story.guest(_STEADY, "end", run)["writes"]
        written = story.guest("lab.guest.blocks", "read", disk["path"], 5)
        assert written == f"write {writes - 1}"
        story.guest("lab.guest.blocks", "write", disk["path"], 5, "after")

        # A host that logs out gets a new pair, as any other.
        story.guest(_HOST, "disconnect", again, disk)
        story.driver("detach", again["attachment_id"])
        third = _attach(story)
        assert third["auth_password"] != again["auth_password"]
        disk = story.guest(_HOST, "connect", third)
        assert story.guest("lab.guest.blocks", "read", disk["path"], 5) == "after"
        story.guest(_HOST, "disconnect", third, disk)
        story.driver("detach", third["attachment_id"])


def test_a_disk_that_was_looked_at_while_it_was_cut_off_needs_a_rescan(
    node: SingleNode,
) -> None:
    """The kernel of the host takes it for an empty one; doc/source/fencing.rst.

    udev has a disk read anew when a program that could write closes it, as QEMU does
    when its server ends.
    """
    with told(node, OURS) as story:
        before = _attach(story)
        disk = story.guest(_HOST, "connect", before)
        sysfs = Path("/sys/block", Path(disk["path"]).name)
        size = story.shell(f"cat {sysfs}/size")
        _deleted(story, before)
        # It waits for the session, until that is given up.
        story.shell(f"blockdev --rereadpt {disk['path']} || true")

        again = _attach(story)
        disk = story.guest(_HOST, "connect", again)
        state = f"cat {sysfs}/device/state"
        _wait_until(
            story,
            "the disk is there again",
            lambda: story.shell(state).strip() == "running",
        )
        assert story.shell(f"cat {sysfs}/size").strip() == "0"
        story.shell(f"echo 1 > {sysfs}/device/rescan")
        assert story.shell(f"cat {sysfs}/size") == size
        story.guest("lab.guest.blocks", "write", disk["path"], 5, "after")
        story.guest(_HOST, "disconnect", again, disk)
        story.driver("detach", again["attachment_id"])
