# SPDX-License-Identifier: Apache-2.0
"""The kernel follows Cinder again after a crash of any process at any point (law 3)."""

from typing import Any

import pytest

from lab.single import SingleNode
from tests.lab.stories import OURS, told
from tests.lab.writers import undisturbed

#: Cinder's own part of a request is walked too, but this is what it is about.
_OURS = ("privsep.files", "records", "targets.lio")


def _walk(node: SingleNode, *arguments: Any) -> list[dict[str, Any]]:
    """Crash at every point; see that there were points, and that no one was wrong."""
    with node.node.session(timeout=1500) as process:
        crashes = process("tests.lab.guest.crashes", "walk", *arguments)
    wrong = [crash for crash in crashes if crash["problems"]]
    assert wrong == []
    *hurt, last = crashes
    assert last["outcome"] == "done"
    assert last["point"] == ""
    for part in _OURS:
        assert any(part in crash["point"] for crash in hurt), crashes
    return hurt


@pytest.mark.parametrize("victim", ["driver", "daemon"])
@pytest.mark.parametrize("request_", ["attach", "detach"])
def test_a_crash_at_any_point_is_healed_and_the_other_host_writes_on(
    node: SingleNode, request_: str, victim: str
) -> None:
    with told(node, OURS) as story:
        device = story.attach("a")
        volume, connector = story.volume, story.connector("b")
    with undisturbed(story, device):
        hurt = _walk(node, request_, volume, connector, victim)
    # The loss of the privileged process is not even felt by who made the request.
    outcome = {"driver": "killed", "daemon": "done"}[victim]
    assert [crash for crash in hurt if crash["outcome"] != outcome] == []


@pytest.mark.parametrize("victim", ["driver", "daemon"])
@pytest.mark.parametrize("request_", ["attach", "detach"])
def test_a_crash_beside_the_readers_disk_is_healed_and_the_writer_writes_on(
    node: SingleNode, request_: str, victim: str
) -> None:
    with told(node, OURS) as story:
        device = story.attach("a")
        volume, connector = story.volume, {**story.connector("b"), "mode": "ro"}
    with undisturbed(story, device):
        hurt = _walk(node, request_, volume, connector, victim)
    # The first reader makes the disk, and the last one takes it along.
    assert any("-readers" in crash["point"] for crash in hurt)


@pytest.mark.parametrize("then", ["restart", "reboot"])
@pytest.mark.parametrize("request_", ["attach", "detach"])
def test_a_crash_in_the_first_attach_or_the_last_detach_leaves_what_cinder_says(
    node: SingleNode, request_: str, then: str
) -> None:
    with told(node, OURS) as story:
        volume, connector = story.volume, story.connector("b")
    _walk(node, request_, volume, connector, "driver", then == "reboot")
