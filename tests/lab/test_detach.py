# SPDX-License-Identifier: Apache-2.0
"""Detaches that overtake, repeat or share: only the right access ends (laws 1, 2)."""

import time
from typing import Any

import pytest

from lab.single import SingleNode
from tests.lab.stories import IN_TREE, OURS, Story, told
from tests.lab.writers import undisturbed

pytestmark = [pytest.mark.share, pytest.mark.in_turn(2, of="file")]

SERVER, OTHER = (f"0000000{number}-1111-4222-8333-444444444444" for number in (1, 2))


def _iqn(host: str) -> str:
    return f"iqn.2026-11.example.lab:{host}"


def _overtaken_by_an_attach(story: Story) -> dict[str, Any]:
    """Detach a, the only one; its remove_export waits while b attaches and writes."""
    story.attach("a")
    story.log_out("a")
    (seen,) = story.inside(
        "tests.lab.guest.interleaving",
        "overtaken",
        ("detach", [story.attachment("a")]),
        "remove_export",
        [("attach_and_write", [story.volume, "b"])],
    )
    story.adopt("b", seen["information"], seen["device"])
    saw: dict[str, Any] = story.guest("lab.guest.steady", "end", seen["run"])
    return saw


def test_a_detach_that_another_hosts_attach_overtakes_leaves_it_its_disk(
    node: SingleNode,
) -> None:
    with told(node, OURS) as story:
        saw = _overtaken_by_an_attach(story)
        assert saw["errors"] == []
        with undisturbed(story, story.device("b")):
            story.driver("reconcile")
        assert story.initiators() == [_iqn("b")]
        _overtaken_by_the_last_detach(story)


def _overtaken_by_the_last_detach(story: Story) -> None:
    """Attach c; between its create_export and its initialize_connection b goes."""
    story.log_out("b")
    reserved = story.driver("reserve", story.volume)
    story.inside(
        "tests.lab.guest.interleaving",
        "overtaken",
        ("update", [reserved, story.connector("c")]),
        "initialize_connection",
        [("detach", [story.attachment("b")])],
    )
    assert story.initiators() == [_iqn("c")]
    story.attach("c", reserved)
    with undisturbed(story, story.device("c")):
        story.driver("reconcile")


@pytest.mark.thorough  # tests the tests, by the in-tree driver
def test_that_story_can_fail_as_the_in_tree_driver_shows(node: SingleNode) -> None:
    with told(node, IN_TREE) as story:
        saw = _overtaken_by_an_attach(story)
        assert saw["errors"] != []


def test_detaches_at_once_on_one_host_end_its_access_and_no_others(
    node: SingleNode,
) -> None:
    with told(node, OURS) as story:
        story.attach("b")
        for servers in (2, 3):
            story.attach("a")
            same_host = [story.attachment("a")]
            for _ in range(servers - 1):
                more = story.driver("attach", story.volume, story.connector("a"))
                same_host.append(more["attachment_id"])
            story.log_out("a")
            with undisturbed(story, story.device("b")):
                _at_once(story, same_host)
            assert story.initiators() == [_iqn("b")]
        also = story.driver("attach", story.volume, story.connector("b"))
        story.log_out("b")
        _at_once(story, [story.attachment("b"), also["attachment_id"]])
        assert story.targets() == []
        assert story.logical_volume() == "closed"


def _at_once(story: Story, attachments: list[str]) -> None:
    results = story.driver(
        "together", [("detach", [attachment]) for attachment in attachments]
    )
    assert results == [None] * len(attachments)


def test_a_reserved_attachment_deleted_last_leaves_nothing(node: SingleNode) -> None:
    with told(node, OURS) as story:
        story.attach("a")
        reserved = story.driver("reserve", story.volume)
        story.detach("a")
        assert story.targets() == []
        story.driver("detach", reserved)
        story.driver("reconcile")
        assert story.targets() == []
        assert story.logical_volume() == "closed"
        story.driver("delete_volume", story.volume)
        assert story.logical_volume() == "gone"


def test_a_plain_volume_follows_its_server_through_resize_and_live_migration(
    node: SingleNode,
) -> None:
    with told(node, OURS) as story:
        story.volume = story.driver("create_volume", 1, False)
        connector = story.connector("a")
        # As Nova does on one host; Cinder allows one server several attachments.
        first = story.driver("attach", story.volume, connector, None, SERVER)
        story.adopt(
            "a", first, story.guest("lab.guest.initiators", "login", "a", first)
        )
        second = story.driver("attach_in_one", story.volume, connector, SERVER)
        with pytest.raises(Exception, match="status must be"):
            story.driver("attach_in_one", story.volume, connector, OTHER)
        with undisturbed(story, story.device("a")):
            story.driver("detach", first["attachment_id"])
        assert story.initiators() == [_iqn("a")]

        there = story.driver(
            "attach_in_one", story.volume, story.connector("b"), SERVER
        )
        story.adopt(
            "b", there, story.guest("lab.guest.initiators", "login", "b", there)
        )
        with undisturbed(story, story.device("b")):
            with undisturbed(story, story.device("a")):
                story.driver("reconcile")
            story.log_out("a")
            story.driver("detach", second["attachment_id"])
            with pytest.raises(RuntimeError, match=r"(?i)login|authoriz"):
                story.log_in("a")
        assert story.initiators() == [_iqn("b")]
        story.detach("b")
        assert story.targets() == []


def test_a_host_is_the_same_in_any_case_of_its_name(node: SingleNode) -> None:
    with told(node, OURS) as story:
        story.attach("a")
        loud = story.connector("a") | {"initiator": _iqn("a").upper()}
        second = story.driver("attach", story.volume, loud)
        assert second["auth_password"] == story.information("a")["auth_password"]
        with undisturbed(story, story.device("a")):
            story.driver("detach", second["attachment_id"])
        third = story.driver("attach", story.volume, loud)
        with undisturbed(story, story.device("a")):
            story.driver("detach", story.attachment("a"))
            story.driver("reconcile")
        assert story.initiators() == [_iqn("a")]
        story.log_out("a")
        story.driver("detach", third["attachment_id"])
        assert story.targets() == []


def test_a_detach_without_a_connector_ends_all_and_says_so(node: SingleNode) -> None:
    with told(node, OURS) as story:
        story.attach("a")
        story.attach("b")
        nameless = {"host": "compute7", "ip": "198.51.100.7"}
        with undisturbed(story, story.device("a"), story.device("b")):
            _is_an_error(story, "terminate", story.volume, nameless)
            reserved = story.driver("reserve", story.volume)
            _is_an_error(story, "update", reserved, nameless)
            story.driver("detach", reserved)
        assert story.initiators() == [_iqn("a"), _iqn("b")]

        assert story.driver("terminate", story.volume, None) is False
        assert story.targets() == []
        log = node.node.kernel.console.with_name("cinder-volume.log").read_text()
        said = [line for line in log.splitlines() if "without a connector" in line]
        assert f"{_iqn('a')}, {_iqn('b')}" in said[-1]
        assert story.volume in said[-1]
        _until_nobody_is_logged_in(story)


def _until_nobody_is_logged_in(story: Story) -> None:
    """Wait until the hosts' kernels have noticed that their sessions ended."""
    deadline = time.monotonic() + 30
    while story.guest("lab.guest.initiators", "sessions"):
        assert time.monotonic() < deadline
        time.sleep(0.2)


def _is_an_error(story: Story, *call: Any) -> None:
    with pytest.raises(Exception, match=r"initiator") as caught:
        story.driver(*call)
    assert "compute7" in str(caught.value)
