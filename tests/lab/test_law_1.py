# SPDX-License-Identifier: Apache-2.0
"""Law 1: an attached host never loses its disk because of someone else.

Each story is told twice: with this driver, where the host's writes go on, and with the
in-tree driver, where they fail. The second shows that the first can fail.
"""

import pytest

from lab.guest.iscsi import REPLACEMENT_TIMEOUT
from lab.single import SingleNode
from tests.lab.guest.faults import UNLUCKY
from tests.lab.stories import IN_TREE, OURS, Story, told

pytestmark = [pytest.mark.share, pytest.mark.in_turn(2, of="file")]


def _attach_fails(story: Story) -> None:
    # The first is for the in-tree driver, the second for this one.
    story.guest("tests.lab.guest.faults", "fail_unlucky_initiators")
    story.driver("lose_privileged_process_for", UNLUCKY)
    attachment = story.driver("reserve", story.volume)
    with pytest.raises(Exception, match=r"(?i)initialize connection failed"):
        story.driver("update", attachment, story.connector(f"{UNLUCKY}-b"))
    story.driver("detach", attachment)


def _bad_initiator(story: Story) -> None:
    attachment = story.driver("reserve", story.volume)
    connector = {**story.connector("b"), "initiator": "no-iqn-at-all"}
    with pytest.raises(Exception, match=r"no-iqn-at-all|[Ii]nitialize"):
        story.driver("update", attachment, connector)
    story.driver("detach", attachment)


def _another_detaches(story: Story) -> None:
    story.attach("b")
    story.detach("b")


def _os_detach(story: Story) -> None:
    story.attach("b")
    story.driver("legacy_detach", story.volume, story.attachment("b"))
    story.forget("b")


HARMFUL = {
    "attach_fails": _attach_fails,
    "bad_initiator": _bad_initiator,
    "os_detach": _os_detach,
}


@pytest.mark.parametrize("event", [*HARMFUL, "another_detaches"])
def test_an_attached_host_keeps_its_disk_when_another(
    node: SingleNode, event: str
) -> None:
    happens = {**HARMFUL, "another_detaches": _another_detaches}[event]
    with told(node, OURS) as story:
        device = story.attach("a")
        with story.writing(device) as seen:
            happens(story)
        assert seen["errors"] == []
        assert seen["writes"] > 0
        assert seen["longest"] < REPLACEMENT_TIMEOUT


@pytest.mark.thorough  # tests the tests, by the in-tree driver
@pytest.mark.parametrize("event", HARMFUL)
def test_the_story_can_fail_as_the_in_tree_driver_shows(
    node: SingleNode, event: str
) -> None:
    with told(node, IN_TREE) as story:
        device = story.attach("a")
        with story.writing(device) as seen:
            HARMFUL[event](story)
        assert seen["errors"] != []


def test_the_last_detach_leaves_nothing(node: SingleNode) -> None:
    with told(node, OURS) as story:
        story.attach("a")
        story.attach("b")
        story.detach("a")
        assert story.targets() != []
        story.detach("b")
        assert story.targets() == []


def test_a_failed_attach_leaves_no_access_behind(node: SingleNode) -> None:
    with told(node, OURS) as story:
        story.attach("a")
        _attach_fails(story)
        assert story.initiators() == ["iqn.2026-11.example.lab:a"]


def test_two_attachments_of_one_host_share_its_access(node: SingleNode) -> None:
    with told(node, OURS) as story:
        device = story.attach("a")
        second = story.driver("attach", story.volume, story.connector("a"))
        with story.writing(device) as seen:
            story.driver("detach", second["attachment_id"])
        assert seen["errors"] == []
