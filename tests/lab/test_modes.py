# SPDX-License-Identifier: Apache-2.0
"""A host does with a volume what its attachments say, and no more (law 4)."""

import contextlib

import pytest

from lab.single import SingleNode
from tests.lab.stories import IN_TREE, OURS, Story, told
from tests.lab.writers import undisturbed

pytestmark = [pytest.mark.share, pytest.mark.in_turn(3, of="file")]

_DISK = "lab.guest.disk"

#: What LIO answers to a write that it does not let through (SBC-4, 4.12).
REFUSED = "Write protected"

#: A restart in the same process leaves the old driver's reconcile behind.
ON_DEMAND = {"taikun_reconcile_interval": "0"}


def _try_to_write(story: Story, device: str, text: str = "by force") -> str:
    """Write by a raw SCSI command; give what became of it."""
    return str(story.guest(_DISK, "write_raw", device, text))


def _may_write(story: Story, device: str) -> bool:
    said = _try_to_write(story, device)
    assert REFUSED in said or "status 0" in said, said
    return REFUSED not in said


def _digest(node: SingleNode, volume: str) -> str:
    return node.node.run(
        f"dd if=/dev/cinder-volumes/volume-{volume} bs=1M count=48 iflag=direct"
        " 2>/dev/null | sha256sum"
    )


def test_a_read_only_host_cannot_write_whatever_its_root_user_does(
    node: SingleNode,
) -> None:
    with told(node, OURS) as story:
        writer, reader = story.attach("a", mode="rw"), story.attach("b", mode="ro")
        assert [story.information(host)["access_mode"] for host in "ab"] == ["rw", "ro"]
        story.guest("lab.guest.blocks", "write", writer, 5, "by the writer")
        assert story.guest(_DISK, "is_read_only", reader)
        assert not story.guest(_DISK, "is_read_only", writer)
        with undisturbed(story, writer):
            with pytest.raises(Exception, match=r"(?i)read-only|permission|permitted"):
                story.guest("lab.guest.blocks", "write", reader, 5, "by the reader")
            assert not _may_write(story, reader)
            assert story.guest("lab.guest.blocks", "read", reader, 5) == "by the writer"
        story.guest(_DISK, "look_again", reader)
        assert story.guest(_DISK, "is_read_only", reader)


@pytest.mark.thorough  # tells what it was like, by the in-tree driver
def test_with_the_in_tree_driver_a_read_only_host_writes(node: SingleNode) -> None:
    with told(node, IN_TREE) as story:
        story.attach("a", mode="rw")
        assert _may_write(story, story.attach("b", mode="ro"))


def test_a_mode_changes_live_without_another_login(node: SingleNode) -> None:
    with told(node, OURS) as story:
        other = story.attach("b", mode="rw")
        device = story.attach("a", mode="ro")
        session = story.guest(_DISK, "session", device)
        connector = story.connector("a")
        with undisturbed(story, other):
            # Another update of the same attachment, in both directions.
            for mode in ("rw", "ro"):
                story.driver("forget_mode", story.attachment("a"))
                changed = {**connector, "mode": mode}
                told_now = story.driver("update", story.attachment("a"), changed)
                assert told_now["access_mode"] == mode
                story.adopt("a", told_now, "")
                device = story.log_in("a")
                assert _may_write(story, device) is (mode == "rw")
                assert story.guest(_DISK, "session", device) == session


def test_a_mode_that_comes_in_one_request_with_the_connector(node: SingleNode) -> None:
    with told(node, OURS) as story:
        for host, mode in (("a", "ro"), ("b", "rw"), ("c", None)):
            information = story.driver(
                "attach_in_one", story.volume, story.connector(host), None, mode
            )
            story.adopt(host, information, "")
            device = story.log_in(host)
            # From the first moment: a host takes a disk that began read-only for
            # read-only until it looks again.
            assert story.guest(_DISK, "is_read_only", device) is (mode == "ro")
            assert _may_write(story, device) is (mode != "ro")


def test_modes_survive_restart_reboot_and_an_edit_by_hand(node: SingleNode) -> None:
    with node.backend(OURS, ON_DEMAND) as backend:
        story = Story(node, backend)
        writer, reader = story.attach("a", mode="rw"), story.attach("b", mode="ro")
        with undisturbed(story, writer):
            story.driver("restart")
            assert not _may_write(story, reader)
            target = story.information("b")["target_iqn"]
            initiator = story.connector("b")["initiator"]
            node.node.run(
                f"echo 0 > /sys/kernel/config/target/iscsi/{target}/tpgt_1/acls/"
                f"{initiator}/lun_1/write_protect"
            )
            assert _may_write(story, reader)
            story.driver("reconcile")
            assert not _may_write(story, reader)
        for host in "ab":
            story.log_out(host)
        story.guest("tests.lab.guest.reset", "forget_exports")
        story.driver("restart")
        writer, reader = story.log_in("a"), story.log_in("b")
        assert [_may_write(story, disk) for disk in (writer, reader)] == [True, False]
        assert story.guest(_DISK, "is_read_only", reader)


def test_a_read_only_host_is_held_to_it_when_it_is_taken_over(node: SingleNode) -> None:
    with contextlib.ExitStack() as end:
        with node.backend(IN_TREE) as in_tree:
            story = Story(node, in_tree)
            writer, reader = story.attach("a", mode="rw"), story.attach("b", mode="ro")
            assert _may_write(story, reader)
            writing = end.enter_context(contextlib.ExitStack())
            writing.enter_context(undisturbed(story, writer))
        story.go_on_with(end.enter_context(node.backend(OURS, ON_DEMAND)))
        story.driver("reconcile")
        assert not _may_write(story, reader)
        writing.close()


def test_one_server_writes_and_the_next_new_one_takes_over(node: SingleNode) -> None:
    with node.backend(OURS) as backend:
        volume = backend.backend("create_volume", 1, True, "ro")
        story = Story(node, backend, volume)
        writer, reader = story.attach("a"), story.attach("b", mode="rw")
        assert story.information("b")["access_mode"] == "ro"
        assert [_may_write(story, disk) for disk in (writer, reader)] == [True, False]
        story.detach("a")
        assert not _may_write(story, reader)
        assert _may_write(story, story.attach("c"))
        assert not _may_write(story, reader)


def test_one_server_writes_whoever_comes_at_once(node: SingleNode) -> None:
    with node.backend(OURS) as backend:
        volume = backend.backend("create_volume", 1, True, "ro")
        story = Story(node, backend, volume)
        hosts = [f"host{number}" for number in range(4)]
        made = story.driver(
            "together",
            [("attach_when_it_may", [volume, story.connector(host)]) for host in hosts],
        )
        for host, information in zip(hosts, made, strict=True):
            story.adopt(host, information, "")
        may = [_may_write(story, story.log_in(host)) for host in hosts]
        assert may.count(True) == 1


def test_a_mount_only_to_read_writes_unless_the_target_forbids_it(
    node: SingleNode,
) -> None:
    with told(node, OURS) as story:
        maker = story.attach("a", mode="rw")
        story.guest(_DISK, "make_file_system_to_recover", maker)
        story.detach("a")

        reader = story.attach("b", mode="ro")
        before = _digest(node, story.volume)
        with pytest.raises(Exception, match=r"(?i)write-protected|read-only|recovery"):
            story.guest(_DISK, "mount_read_only", reader)
        found = story.guest(_DISK, "mount_read_only", reader, "ro,noload")
        assert found == "written before the host was cut off"
        assert _digest(node, story.volume) == before

        # The same mount where the target allows it: ext4 replays its journal.
        trusted = story.attach("c", mode="rw")
        story.guest(_DISK, "mount_read_only", trusted)
        assert _digest(node, story.volume) != before
