# SPDX-License-Identifier: Apache-2.0
"""A volume goes from the in-tree driver to this one and back, while its hosts write.

These are the procedures of doc/source/take-over.rst, step by step.
"""

import contextlib

import pytest

from lab.single import SingleNode
from tests.lab.stories import IN_TREE, OURS, Story
from tests.lab.writers import undisturbed

pytestmark = [pytest.mark.share, pytest.mark.in_turn(2, of="file")]

#: All that differs in an export of the in-tree driver.
DISCOVERY = "SetAttribute(name='demo_mode_discovery', value=0)"

READERS_DISKS = "ls -d /sys/kernel/config/target/core/*/*-readers 2>/dev/null"
SAVED = "/etc/target/saveconfig.json"
REFUSED = r"(?i)login|authoriz"

#: A restart in the same process leaves the old driver's reconcile behind.
ON_DEMAND = {"taikun_reconcile_interval": "0"}


def _log_in_again(story: Story, host: str) -> None:
    story.log_out(host)
    story.log_in(host)


def _is_refused(story: Story, host: str, information: dict[str, object]) -> None:
    with pytest.raises(RuntimeError, match=REFUSED):
        story.guest("lab.guest.initiators", "login", host, information)


def _pair(story: Story, host: str) -> tuple[str, str]:
    information = story.information(host)
    return information["auth_username"], information["auth_password"]


def _log(node: SingleNode) -> str:
    """Give what cinder-volume said since the last start of a driver."""
    log = node.node.kernel.console.with_name("cinder-volume.log").read_text()
    return log.rpartition("Starting volume driver")[2]


def _put_right(node: SingleNode, volume: str) -> list[str]:
    """Give what was put right of a volume's export since then, a line each time."""
    said = f"Export of volume {volume} put right: "
    found = (line.partition(said)[2] for line in _log(node).splitlines())
    return [what for what in found if what]


def _iqn(host: str) -> str:
    return f"iqn.2026-11.example.lab:{host}"


def test_a_volume_is_taken_over_while_its_hosts_write(node: SingleNode) -> None:
    with contextlib.ExitStack() as end:
        with node.backend(IN_TREE) as in_tree:
            story = Story(node, in_tree)
            disks = [story.attach("a"), story.attach("b")]
            again = story.driver("attach", story.volume, story.connector("a"))
            reserved = story.driver("reserve", story.volume)
            before = [
                story.guest("lab.guest.blocks", "identity", disk) for disk in disks
            ]
            writing = end.enter_context(contextlib.ExitStack())
            writing.enter_context(undisturbed(story, *disks))
        story.go_on_with(end.enter_context(node.backend(OURS, ON_DEMAND)))
        story.driver("reconcile")
        assert story.initiators() == [_iqn("a"), _iqn("b")]
        assert _put_right(node, story.volume) == [DISCOVERY]
        writing.close()

        _everybody_logs_in_again(story, before)
        _another_host_attaches(story, reserved)
        _an_old_host_leaves(story, again["attachment_id"])
        _a_boot_restores_what_the_in_tree_driver_saved(story)
        _the_last_ones_leave(story)


def _everybody_logs_in_again(story: Story, before: list[dict[str, str]]) -> None:
    """All hosts log in with the pair they hold, after a reconcile that saw none."""
    for host in "ab":
        story.log_out(host)
    story.driver("reconcile")
    for host, was in zip("ab", before, strict=True):
        now = story.guest("lab.guest.blocks", "identity", story.log_in(host))
        assert (now["serial"], now["wwn"]) == (was["serial"], was["wwn"])


def _another_host_attaches(story: Story, reserved: str) -> None:
    """Another host attaches by what was reserved before the take-over."""
    story.attach("c", reserved)
    assert _pair(story, "a") == _pair(story, "b") != _pair(story, "c")


def _an_old_host_leaves(story: Story, other_server: str) -> None:
    known = story.information("a")
    with undisturbed(story, story.device("b"), story.device("c")):
        story.driver("detach", other_server)
        assert story.initiators() == [_iqn("a"), _iqn("b"), _iqn("c")]
        story.detach("a")
        assert story.initiators() == [_iqn("b"), _iqn("c")]
        _is_refused(story, "a", known)


def _a_boot_restores_what_the_in_tree_driver_saved(story: Story) -> None:
    """The saved file has the hosts of its time; the driver's start corrects it."""
    story.log_out("b")
    story.log_out("c")
    story.guest("tests.lab.guest.reset", "forget_exports")
    story.guest("tests.lab.guest.lio", "in_tree", "restore")
    assert story.initiators() == [_iqn("a"), _iqn("b")]
    story.driver("restart")
    assert story.initiators() == [_iqn("b"), _iqn("c")]
    story.log_in("b")
    story.log_in("c")


def _the_last_ones_leave(story: Story) -> None:
    story.detach("b")
    story.detach("c")
    assert story.targets() == []
    story.driver("delete_volume", story.volume)
    assert story.logical_volume() == "gone"


def test_a_volume_that_was_taken_over_is_the_same_disk_after_a_reboot(
    node: SingleNode,
) -> None:
    with node.backend(IN_TREE) as in_tree:
        story = Story(node, in_tree)
        before = story.guest("lab.guest.blocks", "identity", story.attach("a"))
    with node.backend(OURS, ON_DEMAND) as ours:
        story.go_on_with(ours)
        story.log_out("a")
        story.guest("tests.lab.guest.reset", "forget_exports")
        story.driver("restart")
        now = story.guest("lab.guest.blocks", "identity", story.log_in("a"))
        assert (now["serial"], now["wwn"]) == (before["serial"], before["wwn"])


@pytest.mark.thorough  # three minutes of the in-tree driver
def test_a_volume_is_given_back_while_its_hosts_write(node: SingleNode) -> None:
    with node.backend(IN_TREE) as in_tree:
        taken = Story(node, in_tree)
        taken.attach("a")
    with contextlib.ExitStack() as writing:
        with node.backend(OURS) as ours:
            taken.go_on_with(ours)
            taken.attach("b")
            own = Story(node, ours)
            own.attach("a")
            own.attach("b")
            own.attach("reader", mode="ro")
            own.detach("reader")  # the in-tree driver knows the main disk only
            assert node.node.run(f"{READERS_DISKS} || true") == ""
            was = {
                (story, host): story.guest(
                    "lab.guest.blocks", "identity", story.device(host)
                )
                for story in (taken, own)
                for host in "ab"
            }
            writing.enter_context(undisturbed(own, own.device("a"), own.device("b")))
            writing.enter_context(
                undisturbed(taken, taken.device("a"), taken.device("b"))
            )
        saved = f"grep -c {own.volume} {SAVED} || true"
        assert node.node.run(saved).strip() == "0"
        node.node.run("cinder-rtstool save")
        assert node.node.run(saved).strip() != "0"
        with node.backend(IN_TREE) as in_tree:
            own.go_on_with(in_tree)
            taken.go_on_with(in_tree)
            writing.close()
            assert "Skipping ensure_export. Found existing iSCSI target" in _log(node)
            again = _the_in_tree_driver_goes_on(own)
    _reboot(node)
    with node.backend(IN_TREE) as in_tree:
        assert "Restoring iSCSI target from configuration file" in _log(node)
        own.go_on_with(in_tree)
        taken.go_on_with(in_tree)
        for story, host in ((own, "b"), (own, "c"), (taken, "a"), (taken, "b")):
            story.log_in(host)
            now = story.guest("lab.guest.blocks", "identity", story.device(host))
            old = was.get((story, host), was[story, "b"])
            assert (now["serial"], now["wwn"]) == (old["serial"], old["wwn"])
        for story, host in ((own, "b"), (own, "c"), (taken, "a"), (taken, "b")):
            story.detach(host)
        own.driver("detach", again)
        assert own.targets() == []
        for story in (own, taken):
            story.driver("delete_volume", story.volume)
            assert story.logical_volume() == "gone"


def _the_in_tree_driver_goes_on(story: Story) -> str:
    """The in-tree driver works as before: all hosts that it attaches have one pair."""
    _log_in_again(story, "b")
    story.attach("c")
    kept = tuple(story.driver("provider_auth", story.volume).split()[1:])
    assert _pair(story, "c") == kept != _pair(story, "b")
    known = story.information("a")
    with undisturbed(story, story.device("b"), story.device("c")):
        story.detach("a")
        _is_refused(story, "a", known)
    # A further server on a host that was attached by this driver: the host's ACL stays
    # as it is, and Cinder tells a pair that does not fit it.
    again = story.driver("attach", story.volume, story.connector("b"))
    assert (again["auth_username"], again["auth_password"]) == kept
    story.log_out("b")
    _is_refused(story, "b", again)
    story.log_in("b")
    return str(again["attachment_id"])


def _reboot(node: SingleNode) -> None:
    """Reboot a storage node that keeps its files and activates its volumes."""
    keep = "/run/lab/saveconfig.json"
    node.node.run(f"cp {SAVED} {keep}")
    node.node.kernel.cut_power()
    node.boot()
    node.node.run(f"cp {keep} {SAVED} && rm {keep} && vgchange -ay cinder-volumes")
