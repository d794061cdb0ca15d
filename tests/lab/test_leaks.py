# SPDX-License-Identifier: Apache-2.0
"""No secret in a log, in an argv, or in a file that others can read (law 7)."""

import pytest

from lab.single import SingleNode
from tests.lab.guest.faults import UNLUCKY
from tests.lab.stories import IN_TREE, OURS, Story

pytestmark = pytest.mark.in_turn(4, of="what a node bears")

_LEAKS, _STARTS = "tests.lab.guest.leaks", "tests.lab.guest.starts"

SAVED = "/etc/target/saveconfig.json"
#: Where a node keeps what it wrote, see tests/lab/guest/leaks.py.
UPPER = "/mnt/host/mnt/upper"


def _logs_with(node: SingleNode, secrets: list[str]) -> list[str]:
    """All logs of the lab: cinder-volume's at level debug, and the kernel's console."""
    logs = list(node.node.kernel.console.parent.glob("*.log"))
    assert any(" DEBUG " in log.read_text(errors="replace") for log in logs)
    return [
        line
        for log in logs
        for line in log.read_text(errors="replace").splitlines()
        if any(secret in line for secret in secrets)
    ]


def test_no_secret_is_shown(node: SingleNode) -> None:
    with node.backend(OURS, {"taikun_reconcile_interval": "0"}) as backend:
        story = Story(node, backend)
        story.inside(_STARTS, "listen")
        told = [story.driver("attach", story.volume, story.connector("a"))]
        told.append(story.driver("attach", story.volume, story.connector("b")))
        for what in ("a wrong password for b", "no ACL for b"):
            story.guest("tests.lab.guest.damage", "damage", told[0]["target_iqn"], what)
            story.driver("reconcile")
        story.driver("restart")
        story.driver("lose_privileged_process_for", UNLUCKY)
        reserved = story.driver("reserve", story.volume)
        with pytest.raises(Exception, match="nitialize") as caught:
            story.driver("update", reserved, story.connector(UNLUCKY))
        story.driver("detach", reserved)
        secrets = [information["auth_password"] for information in told]
        assert not any(secret in repr(caught.value) for secret in secrets)
        assert story.guest(_LEAKS, "in_readable_files", secrets) == []
        story.driver("detach", told[0]["attachment_id"])
        story.driver("terminate", story.volume, None)
        story.driver("detach", told[1]["attachment_id"])
        started, shown = story.inside(_STARTS, "started_with", secrets)
        assert started > 0
        assert shown == []
        assert _logs_with(node, secrets) == []


def test_that_it_would_be_seen_the_in_tree_driver_shows(node: SingleNode) -> None:
    with node.backend(IN_TREE) as backend:
        story = Story(node, backend)
        story.inside(_STARTS, "listen")
        told = story.driver("attach", story.volume, story.connector("a"))
        secrets = [told["auth_password"]]
        _, shown = story.inside(_STARTS, "started_with", secrets)
        assert shown != []
        assert _logs_with(node, secrets) != []
        node.node.run(f"chmod 644 {SAVED}")
        assert story.guest(_LEAKS, "in_readable_files", secrets) == [f"{UPPER}{SAVED}"]
