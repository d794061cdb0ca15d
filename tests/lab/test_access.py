# SPDX-License-Identifier: Apache-2.0
"""Access per attachment, through the driver, on a real kernel (laws 2, 3 and 5)."""

import pytest

from lab.single import SingleNode
from tests.lab.stories import OURS, Story, told

pytestmark = [pytest.mark.share, pytest.mark.in_turn(2, of="file")]


def test_no_two_hosts_share_credentials(node: SingleNode) -> None:
    with told(node, OURS) as story:
        story.attach("a")
        story.attach("b")
        first, second = (story.information(host) for host in ("a", "b"))
        assert first["auth_username"] != second["auth_username"]
        assert first["auth_password"] != second["auth_password"]


def test_a_detached_host_cannot_come_back_with_what_it_knew(node: SingleNode) -> None:
    with told(node, OURS) as story:
        story.attach("a")
        story.attach("b")
        known = story.information("b")
        story.detach("b")
        with pytest.raises(RuntimeError, match=r"(?i)login|authoriz"):
            story.guest("lab.guest.initiators", "login", "b", known)
        story.log_out("a")
        with pytest.raises(RuntimeError, match=r"(?i)login|authoriz"):
            story.guest("lab.guest.initiators", "login", "a", known)
        story.log_in("a")


def test_a_new_attachment_of_a_host_gets_a_new_pair(node: SingleNode) -> None:
    with told(node, OURS) as story:
        story.attach("a")
        before = story.information("a")
        story.detach("a")
        story.attach("a")
        assert story.information("a")["auth_password"] != before["auth_password"]


def test_a_volume_is_the_same_disk_when_it_is_exported_anew(node: SingleNode) -> None:
    with told(node, OURS) as story:
        first = story.guest("lab.guest.blocks", "identity", story.attach("a"))
        story.detach("a")
        assert story.targets() == []
        second = story.guest("lab.guest.blocks", "identity", story.attach("a"))
        assert first["serial"].startswith(story.volume)
        assert (first["serial"], first["wwn"]) == (second["serial"], second["wwn"])


def test_detaches_of_all_hosts_at_once_leave_nothing(node: SingleNode) -> None:
    with told(node, OURS) as story:
        for host in ("a", "b", "c"):
            story.attach(host)
        story.driver(
            "together", [("detach", [story.attachment(host)]) for host in "abc"]
        )
        assert story.targets() == []


def test_first_attaches_at_once_all_work(node: SingleNode) -> None:
    with told(node, OURS) as story:
        reserved = [story.driver("reserve", story.volume)]
        information = story.driver("update", reserved[0], story.connector("a"))
        story.driver("complete", reserved[0])
        reserved.append(story.driver("reserve", story.volume))
        again, second = story.driver(
            "together",
            [
                ("update", [reserved[0], story.connector("a")]),
                ("update", [reserved[1], story.connector("b")]),
            ],
        )
        assert again["auth_password"] == information["auth_password"]
        story.guest("lab.guest.initiators", "login", "a", again)
        story.guest("lab.guest.initiators", "login", "b", second)


def _reboot(node: SingleNode) -> None:
    node.node.kernel.cut_power()
    node.boot()


def test_a_reboot_of_the_node_brings_every_attachment_back(node: SingleNode) -> None:
    with told(node, OURS) as story:
        device = story.attach("a")
        before = story.guest("lab.guest.blocks", "identity", device)
        story.guest("lab.guest.blocks", "write", device, 5, "acknowledged")
        information = story.information("a")
        volume = story.volume
    _reboot(node)
    with node.backend(OURS) as backend:
        story = Story(node, backend, volume)
        device = story.guest("lab.guest.initiators", "login", "a", information)
        assert story.guest("lab.guest.blocks", "read", device, 5) == "acknowledged"
        after = story.guest("lab.guest.blocks", "identity", device)
        assert after["wwn"] == before["wwn"]
