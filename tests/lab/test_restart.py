# SPDX-License-Identifier: Apache-2.0
"""The kernel has lost everything: each attached volume comes back as it was (law 3)."""

import pytest

from lab.plan import VOLUME_GROUP
from lab.single import SingleNode
from tests.lab.stories import OURS, Story

pytestmark = [pytest.mark.share, pytest.mark.in_turn(4, of="what a node bears")]

#: The statuses that a volume with attachments may have.
STATUSES = (
    "in-use",
    "available",  # by os-reset_status
    "reserved",
    "attaching",
    "detaching",
    "maintenance",
    "awaiting-transfer",
    "uploading",
    "retyping",
    "extending",
    "backing-up",
    "restoring-backup",
    "error",
    "error_attaching",
    "error_detaching",
    "error_deleting",
    "error_extending",
)


def test_volumes_in_any_status_come_back_with_their_luns(node: SingleNode) -> None:
    options = {"taikun_reconcile_interval": "0"}
    with node.backend(OURS, options) as backend:
        stories = {status: Story(node, backend) for status in STATUSES}
        for story in stories.values():
            told = story.driver("attach", story.volume, story.connector("a"))
            story.adopt("a", told, "")
        before = {status: _everything(story) for status, story in stories.items()}
        for status, story in stories.items():
            story.driver("set_status", story.volume, status)
    node.node.call("tests.lab.guest.reset", "forget_exports")
    # The state after a boot that activated nothing; one volume has the skip flag, too.
    skipped = stories["maintenance"].volume
    node.node.run(
        f"vgchange -an {VOLUME_GROUP} && lvchange -ky {VOLUME_GROUP}/volume-{skipped}"
    )
    with node.backend(OURS, options) as backend:
        for story in stories.values():
            story.go_on_with(backend)
        # At its start Cinder asks for the exports of these only.
        assert _everything(stories["in-use"]) == before["in-use"]
        story.driver("reconcile")
        for status, story in stories.items():
            assert _everything(story) == before[status], status
        for status in ("in-use", "maintenance"):
            device = stories[status].log_in("a")
            node.node.call("lab.guest.blocks", "write", device, 5, "as before")


def _everything(story: Story) -> dict[str, str]:
    target = story.information("a")["target_iqn"]
    found = dict(story.guest("tests.lab.guest.damage", "everything", target))
    assert any("lun_0/ -> " in path for path in found)
    return found
