# SPDX-License-Identifier: Apache-2.0
"""One broken thing takes nothing else with it, on a real kernel (laws 1, 2, 3)."""

from collections.abc import Iterator

import pytest

from lab.single import SingleNode
from tests.lab.stories import OURS, Story, told
from tests.lab.writers import undisturbed

pytestmark = pytest.mark.in_turn(4, of="file")

#: Only the reconciles that a test asks for.
ON_DEMAND = {"taikun_reconcile_interval": "0"}

#: An address of every node.
LOOPBACK = "127.0.0.2"


def _passes(story: Story, number: int = 2) -> None:
    for _ in range(number):
        story.driver("reconcile")


def _is_let_in(story: Story, host: str) -> bool:
    return story.connector(host)["initiator"] in story.initiators()


def test_active_volume_without_its_link_is_attached(node: SingleNode) -> None:
    with told(node, OURS) as story:
        node.node.call("tests.lab.guest.broken", "lose_link", story.volume)
        device = story.attach("a")
        node.node.call("lab.guest.blocks", "write", device, 1, "there again")
        story.detach("a")


def test_portal_that_another_daemon_has_keeps_hosts_from_no_other(
    node: SingleNode,
) -> None:
    options = {**ON_DEMAND, "target_secondary_ip_addresses": LOOPBACK}
    portals = "ls /sys/kernel/config/target/iscsi/iqn.*/tpgt_1/np"
    with node.backend(OURS, options) as backend:
        story = Story(node, backend)
        with node.node.session() as other_daemon:
            other_daemon("tests.lab.guest.broken", "listen", LOOPBACK, 3260)
            device = story.attach("a")
        with undisturbed(story, device):
            assert LOOPBACK not in node.node.run(portals)
            story.attach("b")
            story.driver("reconcile")
            assert LOOPBACK in node.node.run(portals)


def test_row_that_cannot_be_read_harms_no_host(node: SingleNode) -> None:
    with node.backend(OURS, ON_DEMAND) as backend:
        story = Story(node, backend)
        device = story.attach("a")
        story.attach("b")
        story.driver("spoil_row", story.attachment("a"))
        with undisturbed(story, device):
            _passes(story, 3)
            story.driver("terminate_by_row", story.volume, story.connector("b"))
            assert not _is_let_in(story, "b")
        story.driver("lose_rows", [story.attachment(host) for host in "ab"])
        _passes(story)
        assert story.targets() == []


def test_missing_rows_cut_off_one_live_host_and_never_many(node: SingleNode) -> None:
    with node.backend(OURS, {**ON_DEMAND, "taikun_max_revocations": "1"}) as backend:
        story = Story(node, backend)
        device = story.attach("a")
        story.attach("b")
        with undisturbed(story, device):
            story.driver("lose_rows", [story.attachment("a"), story.attachment("b")])
            _passes(story, 4)
            assert _is_let_in(story, "b")
        # When the other logs out, it is one only.
        story.log_out("b")
        _passes(story, 1)
        assert story.targets() == []


def test_volume_that_left_the_database_leaves_nothing(node: SingleNode) -> None:
    with node.backend(OURS, ON_DEMAND) as backend:
        story = Story(node, backend)
        device = story.attach("a")
        with undisturbed(story, device):
            story.driver("lose_volume", story.volume)
            _passes(story, 1)
        _passes(story, 1)
        assert story.targets() == []
        assert story.logical_volume() == "closed"


@pytest.fixture
def second_prefix(node: SingleNode) -> Iterator[str]:
    """A target_prefix that root allows beside the usual one."""
    prefix, conf = "iqn.2030-01.org.example:", "/etc/taikun_cinder/privileged.conf"
    usual = "iqn.2010-10.org.openstack:"
    node.node.run(f"cp {conf} /run/ && echo target_prefixes={prefix},{usual} >> {conf}")
    yield prefix
    node.node.run(f"cp /run/privileged.conf {conf}")


def test_change_of_target_prefix_disturbs_nobody_and_leaves_nobody_in(
    node: SingleNode, second_prefix: str
) -> None:
    with node.backend(OURS, ON_DEMAND) as backend:
        story = Story(node, backend)
        device = story.attach("a")
        story.attach("b")
    changed = {**ON_DEMAND, "target_prefix": second_prefix}
    with undisturbed(story, device), node.backend(OURS, changed) as backend:
        story.go_on_with(backend)
        _passes(story)
        story.detach("b")
        assert not _is_let_in(story, "b")
        again = story.attach("b")
        assert again != device
    with node.backend(OURS, changed) as backend:
        story.go_on_with(backend)
        story.detach("a")
        story.detach("b")
        assert story.targets() == []
        story.attach("a")
        (target,) = story.targets()
        assert target.startswith(second_prefix)


def test_forced_deletion_of_a_volume_that_is_attaching_erases_nothing(
    node: SingleNode,
) -> None:
    options = {**ON_DEMAND, "volume_clear": "zero", "volume_clear_size": "1"}
    with node.backend(OURS, options) as backend:
        story = Story(node, backend)
        device = story.attach("a")
        node.node.call("lab.guest.blocks", "write", device, 1, "not erased")
        with undisturbed(story, device):
            assert story.driver("force_delete", story.volume) == "available"
        assert node.node.call("lab.guest.blocks", "read", device, 1) == "not erased"
        story.detach("a")
        assert story.driver("force_delete", story.volume) == ""
        assert story.logical_volume() == "gone"
