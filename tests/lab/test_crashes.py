# SPDX-License-Identifier: Apache-2.0
"""The kernel follows Cinder again after a crash of any process at any point (law 3).

All points of all cases take a quarter of an hour. So a usual run takes half of the
cases and every fifth point of each, and the next turn's others: all in ten turns.
``tox -e thorough`` takes all at once.
"""

from collections.abc import Callable
from typing import Any

import pytest

from lab.single import SingleNode
from tests.lab import turns
from tests.lab.stories import OURS, told
from tests.lab.writers import undisturbed

pytestmark = [pytest.mark.sampled, pytest.mark.in_turn(5)]

_EVERY = 5
#: No request has fewer points.
_FEWEST = 12

Walk = Callable[..., list[dict[str, Any]]]

#: Cinder's own part of a request is walked too, but this is what it is about.
_OURS = ("privsep.files", "records", "targets.lio")


@pytest.fixture
def walk(node: SingleNode, thorough: bool) -> Walk:
    """Crash at the points; see that there were points, and that no one was wrong."""
    every = 1 if thorough else _EVERY
    first = 1 + turns.number() % every
    print(f"crashes at point {first} and at every {every} after it")

    def walk(*arguments: Any, reboot: bool = False) -> list[dict[str, Any]]:
        with node.node.session(timeout=1500) as process:
            crashes = process(
                "tests.lab.guest.crashes", "walk", *arguments, first, every, reboot
            )
        wrong = [crash for crash in crashes if crash["problems"]]
        assert wrong == []
        *hurt, last = crashes
        assert last["outcome"] == "done"
        assert last["point"] == ""
        assert len(hurt) >= _FEWEST // every
        for part in _OURS if thorough else ():
            assert any(part in crash["point"] for crash in hurt), crashes
        return hurt

    return walk


@pytest.mark.parametrize("victim", ["driver", "daemon"])
@pytest.mark.parametrize("request_", ["attach", "detach"])
def test_a_crash_at_any_point_is_healed_and_the_other_host_writes_on(
    node: SingleNode, walk: Walk, request_: str, victim: str
) -> None:
    with told(node, OURS) as story:
        device = story.attach("a")
        volume, connector = story.volume, story.connector("b")
    with undisturbed(story, device):
        hurt = walk(request_, volume, connector, victim)
    # The loss of the privileged process is not even felt by who made the request.
    outcome = {"driver": "killed", "daemon": "done"}[victim]
    assert [crash for crash in hurt if crash["outcome"] != outcome] == []


@pytest.mark.parametrize("victim", ["driver", "daemon"])
@pytest.mark.parametrize("request_", ["attach", "detach"])
def test_a_crash_beside_the_readers_disk_is_healed_and_the_writer_writes_on(
    node: SingleNode, walk: Walk, thorough: bool, request_: str, victim: str
) -> None:
    with told(node, OURS) as story:
        device = story.attach("a")
        volume, connector = story.volume, {**story.connector("b"), "mode": "ro"}
    with undisturbed(story, device):
        hurt = walk(request_, volume, connector, victim)
    # The first reader makes the disk, and the last one takes it along.
    assert not thorough or any("readers" in crash["point"] for crash in hurt), hurt


@pytest.mark.share
@pytest.mark.parametrize("then", ["restart", "reboot"])
@pytest.mark.parametrize("request_", ["attach", "detach"])
def test_a_crash_in_the_first_attach_or_the_last_detach_leaves_what_cinder_says(
    node: SingleNode, walk: Walk, request_: str, then: str
) -> None:
    with told(node, OURS) as story:
        volume, connector = story.volume, story.connector("b")
    walk(request_, volume, connector, "driver", reboot=then == "reboot")
