# SPDX-License-Identifier: Apache-2.0
"""A host whose attachment ended without a log-out heals by itself when it comes back.

It connects by os-brick, and nobody logs it out by hand.
"""

import time
from collections.abc import Callable
from typing import Any

import pytest

from lab.guest.iscsi import REPLACEMENT_TIMEOUT
from lab.plan import STORAGE_NODE
from lab.single import SingleNode
from tests.lab.stories import OURS, Story, told

_HOST = "lab.guest.host"

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


def _wait_until_read(story: Story, path: str, text: str) -> float:
    began = time.monotonic()
    while True:
        try:
            assert story.guest("lab.guest.blocks", "read", path, 5) == text
        except OSError:
            assert time.monotonic() < began + _PATIENCE, "the disk does not come"
            time.sleep(0.5)
        else:
            return time.monotonic() - began


@pytest.mark.in_turn(3)
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
        story.guest("lab.guest.blocks", "write", disk["path"], 5, "before")

        end(story, before)  # and nova-compute is dead
        time.sleep(REPLACEMENT_TIMEOUT + 2)
        with pytest.raises(OSError, match=r"(?i)error|no such device"):
            story.guest("lab.guest.blocks", "read", disk["path"], 5)

        again = _attach(story)
        assert again["auth_password"] == before["auth_password"]
        disk = story.guest(_HOST, "connect", again)
        took = _wait_until_read(story, disk["path"], "before")
        print(f"the disk was there {took:.1f} s after os-brick was")
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
