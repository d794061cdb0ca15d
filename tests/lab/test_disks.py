# SPDX-License-Identifier: Apache-2.0
"""Readers have a disk of their own, by which they change nothing (laws 1, 4, 5)."""

import contextlib
import uuid
from collections.abc import Iterator

import pytest

from lab.single import SingleNode
from tests.lab.stories import IN_TREE, OURS, Story, told
from tests.lab.writers import undisturbed

pytestmark = pytest.mark.in_turn(5, of="file")

_DISK, _BLOCKS, _OPCODES = (
    "lab.guest.disk",
    "lab.guest.blocks",
    "tests.lab.guest.opcodes",
)
_INITIATORS = "lab.guest.initiators"
_LIO = "tests.lab.guest.lio"

DISCARD = {"report_discard_supported": "true"}

#: A restart in the same process leaves the old driver's reconcile behind.
ON_DEMAND = {"taikun_reconcile_interval": "0"}


class Server:
    """A server that uses the volume on a host, and the disk that it got."""

    def __init__(self, story: Story, host: str, mode: str, server: str = "") -> None:
        self._story, self.host = story, host
        self.information = story.driver(
            "attach",
            story.volume,
            story.connector(host),
            mode,
            server or str(uuid.uuid4()),
        )
        self.log_in()

    def log_in(self) -> None:
        self.disk = str(
            self._story.guest(_INITIATORS, "login", self.host, self.information)
        )

    @property
    def lun(self) -> int:
        return int(self.information["target_lun"])

    def may_write(self, text: str = "by force", disk: str = "") -> bool:
        said = str(self._story.guest(_DISK, "write_raw", disk or self.disk, text))
        assert "Write protected" in said or "status 0" in said, said
        return "status 0" in said

    def write(self, text: str) -> None:
        self._story.guest(_BLOCKS, "write", self.disk, 5, text)

    def read(self) -> str:
        return str(self._story.guest(_BLOCKS, "read", self.disk, 5))

    def identity(self) -> tuple[str, ...]:
        """Give what udev makes names of that stay."""
        found = self._story.guest(_BLOCKS, "identity", self.disk)
        return found["serial"], found["wwn"], found["model"]

    def detach(self, *, last: bool = False) -> None:
        """End the attachment, and log the host out if no other server is on it."""
        if last:
            self._story.guest(_LIO, "log_out", self.host, self.information)
        else:
            self._story.guest(_DISK, "remove", self.disk)
        self._story.driver("detach", self.information["attachment_id"])


def _shows(story: Story, disk: str) -> str:
    """Give what a disk shows; empty if the host's kernel cannot read it."""
    try:
        return str(story.guest(_BLOCKS, "read", disk, 5))
    except Exception:
        return ""


def _backstores(node: SingleNode, story: Story) -> list[str]:
    core = "/sys/kernel/config/target/core"
    found = node.node.run(f"ls -d {core}/*/iqn*{story.volume}* || true")
    return [path.split("/")[-2].partition("_")[0] for path in found.split()]


def _device(story: Story) -> str:
    return f"/dev/cinder-volumes/volume-{story.volume}"


@pytest.mark.parametrize(
    "reserved", [False, pytest.param(True, marks=pytest.mark.thorough)]
)
def test_no_command_of_a_reader_changes_anything_for_others(
    node: SingleNode, reserved: bool
) -> None:
    with node.backend(OURS, DISCARD) as backend:
        story = Story(node, backend)
        writer, reader = Server(story, "a", "rw"), Server(story, "b", "ro")
        with node.node.session(timeout=900) as process:
            harmed = process(
                _OPCODES, "walk", reader.disk, writer.disk, _device(story), reserved
            )
        assert int(harmed.pop("sent")[0]) > 4000
        assert harmed == {}
        writer.write("after all")
        assert reader.read() == "after all"


@pytest.mark.thorough  # a fallback, and all opcodes again
def test_a_host_that_shares_the_main_disk_can_only_reserve_it(
    node: SingleNode,
) -> None:
    """The fallback, and hosts of older versions; see the page Limitations."""
    with node.backend(OURS, DISCARD) as backend:
        story = Story(node, backend)
        story.inside(_OPCODES, "protect_main_disks")
        writer, protected = Server(story, "a", "rw"), Server(story, "b", "ro")
        assert protected.lun == 0
        with node.node.session(timeout=900) as process:
            harmed = process(
                _OPCODES, "walk", protected.disk, writer.disk, _device(story), False
            )
        harmed.pop("sent")
        # The data is not among it: WRITE SAME and COMPARE AND WRITE are refused.
        assert {what.split()[0] for what in harmed} == {"writes"}, harmed
        opcodes = {command[:2] for commands in harmed.values() for command in commands}
        assert opcodes == {"16", "56"}, harmed


@pytest.mark.parametrize("first", ["ro", "rw"])
def test_servers_of_both_modes_on_one_host_come_and_go_alone(
    node: SingleNode, first: str
) -> None:
    with told(node, OURS) as story:
        other = Server(story, "b", "rw")
        with undisturbed(story, other.disk):
            for last in ("ro", "rw"):
                second = {"ro": "rw", "rw": "ro"}[first]
                servers = {mode: Server(story, "a", mode) for mode in (first, second)}
                # At once, without another login.
                servers["rw"].write(f"for {last}")
                assert servers["ro"].read() == f"for {last}"
                assert not servers["ro"].may_write()
                assert servers["ro"].identity() != servers["rw"].identity()
                servers.pop({"ro": "rw", "rw": "ro"}[last]).detach()
                story.driver("reconcile")
                assert servers[last].read() == f"for {last}"
                assert servers[last].may_write() is (last == "rw")
                servers[last].detach(last=True)
        assert other.may_write()


def test_a_writer_moves_to_the_host_of_a_reader_and_back(node: SingleNode) -> None:
    with told(node, OURS) as story:
        server = str(uuid.uuid4())
        writer, reader = Server(story, "a", "rw", server), Server(story, "b", "ro")
        reader_was = reader.identity()
        with undisturbed(story, writer.disk):
            moved = story.driver(
                "attach_in_one", story.volume, story.connector("b"), server
            )
            there = str(story.guest(_INITIATORS, "login", "b", moved))
            assert moved["target_lun"] == 0
            assert not story.guest(_DISK, "is_read_only", there)
            story.guest(_BLOCKS, "write", there, 5, "on the way")
            assert reader.read() == "on the way"
            # It failed, and Nova's rollback ends the new attachment.
            story.guest(_DISK, "remove", there)
            story.driver("detach", moved["attachment_id"])
            assert reader.read() == "on the way"
            assert reader.identity() == reader_was


def test_an_attachment_that_gets_another_mode_gets_the_other_disk(
    node: SingleNode,
) -> None:
    with told(node, OURS) as story:
        other = Server(story, "b", "rw")
        server = Server(story, "a", "ro")
        other.write("by the other")
        attachment = server.information["attachment_id"]
        with undisturbed(story, other.disk):
            for mode, lun in (("rw", 0), ("ro", 1), ("rw", 0)):
                old = server.disk
                story.driver("forget_mode", attachment)
                connector = {**story.connector("a"), "mode": mode}
                server.information = story.driver("update", attachment, connector)
                assert server.lun == lun
                server.log_in()
                assert server.may_write() is (mode == "rw")
                story.driver("reconcile")
                assert _shows(story, server.disk) == "by the other"
                # Who asks to write may go on with the readers' disk that he has. Who
                # asks to read gives the main one up: it shows nothing any more.
                if mode == "rw":
                    other.write("by the other")
                    assert _shows(story, old) == "by the other"
                    assert not server.may_write(disk=old)
                else:
                    assert _shows(story, old) != "by the other"
                story.guest(_DISK, "remove", old)


def test_both_disks_survive_a_restart_a_reboot_an_edit_and_a_restore(
    node: SingleNode,
) -> None:
    with node.backend(OURS, ON_DEMAND) as backend:
        story = Story(node, backend)
        servers = [Server(story, "a", "rw"), Server(story, "b", "ro")]
        writer, reader = servers
        was = [server.identity() for server in servers]
        with undisturbed(story, writer.disk):
            story.driver("restart")
            assert not reader.may_write()
            writer.write("before")
            assert reader.read() == "before"
            iscsi = "/sys/kernel/config/target/iscsi"
            acl = f"{iscsi}/{reader.information['target_iqn']}/tpgt_1/acls"
            initiator = story.connector("b")["initiator"]
            node.node.run(f"echo 0 > {acl}/{initiator}/lun_1/write_protect")
            core = "/sys/kernel/config/target/core"
            node.node.run(f"echo 1 > $(ls -d {core}/*/iqn*-readers)/attrib/emulate_pr")
            story.driver("reconcile")
            assert not reader.may_write()
            assert reader.read() == "before"
        for how in (("restart",), ("restore",)):
            for server in servers:
                story.guest(_LIO, "log_out", server.host, server.information)
            story.guest("tests.lab.guest.reset", "forget_exports")
            if how == ("restore",):
                said = story.inside("tests.lab.guest.restored", "restore")
                assert "is exported again" in said
            else:
                story.driver(*how)
            for server in servers:
                server.log_in()
            assert [server.identity() for server in servers] == was
            assert [server.may_write() for server in servers] == [True, False]
            writer.write(f"after {how[0]}")
            assert reader.read() == f"after {how[0]}"


def test_an_extension_is_seen_on_both_disks(node: SingleNode) -> None:
    with told(node, OURS) as story:
        writer, reader = Server(story, "a", "rw"), Server(story, "b", "ro")
        with undisturbed(story, writer.disk):
            node.node.run(f"lvextend -L +64M {_device(story)}")
            now = {story.guest(_DISK, "size", host.disk) for host in (writer, reader)}
        assert now == {(1 << 30) + (64 << 20)}


@contextlib.contextmanager
def _one_disk(node: SingleNode) -> Iterator[Story]:
    """Tell a story by a driver that knows the main disk only."""
    with node.backend(OURS, ON_DEMAND) as backend:
        backend(_OPCODES, "protect_main_disks")
        story = Story(node, backend)
        yield story
        backend("tests.lab.guest.older", "forget_disks", story.volume)


def test_hosts_of_an_older_version_keep_their_disk_until_they_detach(
    node: SingleNode,
) -> None:
    with contextlib.ExitStack() as end:
        with _one_disk(node) as story:
            servers = [Server(story, "a", "rw"), Server(story, "b", "ro")]
            writer, old = servers
            was = [server.identity() for server in servers]
            writing = end.enter_context(contextlib.ExitStack())
            writing.enter_context(undisturbed(story, writer.disk))
        story.go_on_with(end.enter_context(node.backend(OURS, ON_DEMAND)))
        story.driver("reconcile")
        assert [server.identity() for server in servers] == was
        new = Server(story, "b", "ro")
        assert (old.lun, new.lun) == (0, 1)
        assert [old.may_write(), new.may_write()] == [False, False]
        writer.write("seen by all")
        assert old.read() == new.read() == "seen by all"
        old.detach()
        story.driver("reconcile")
        assert new.read() == "seen by all"
        writing.close()


def test_hosts_of_the_in_tree_driver_keep_their_disk_until_they_detach(
    node: SingleNode,
) -> None:
    with contextlib.ExitStack() as end:
        with node.backend(IN_TREE) as in_tree:
            story = Story(node, in_tree)
            writer, old = Server(story, "a", "rw"), Server(story, "b", "ro")
            assert old.may_write()
            writing = end.enter_context(contextlib.ExitStack())
            writing.enter_context(undisturbed(story, writer.disk))
        story.go_on_with(end.enter_context(node.backend(OURS, ON_DEMAND)))
        story.driver("reconcile")
        assert not old.may_write()
        new, second = Server(story, "c", "ro"), Server(story, "b", "rw")
        assert (old.lun, new.lun, second.lun) == (0, 1, 0)
        writer.write("seen by all")
        assert old.read() == new.read() == "seen by all"
        new.detach(last=True)
        assert _backstores(node, story) == ["iblock"]
        writing.close()


def test_a_discovery_tells_a_host_its_own_volumes_only(node: SingleNode) -> None:
    with told(node, OURS) as story:
        mine = Server(story, "a", "rw")
        others = Story(node, story._backend)
        Server(others, "b", "rw")
        found = story.guest(_INITIATORS, "discover", "a", mine.information)
        assert found == [mine.information["target_iqn"]]
        assert story.guest(_INITIATORS, "discover", "stranger", mine.information) == []


@pytest.mark.parametrize("lvm_type", ["default", "thin"])
def test_who_may_write_discards_and_who_may_only_read_does_not(
    node: SingleNode, lvm_type: str
) -> None:
    options = {**DISCARD, "lvm_type": lvm_type}
    with node.backend(OURS, options) as backend:
        story = Story(node, backend)
        writer, reader = Server(story, "a", "rw"), Server(story, "b", "ro")
        told_ = [server.information["discard"] for server in (writer, reader)]
        assert told_ == [True, False]
        writer.write("to be discarded")
        blocks = {"default": 64, "thin": 2048}[lvm_type]  # limits, and a chunk
        assert not story.guest(_DISK, "unmap", reader.disk, blocks)
        assert reader.read() == "to be discarded"
        assert story.guest(_DISK, "unmap", writer.disk, blocks)
        if lvm_type == "thin":
            assert writer.read() == reader.read() == ""
    with node.backend(OURS) as backend:
        story.go_on_with(backend)
        story.driver("reconcile")
        assert not story.guest(_DISK, "unmap", writer.disk, blocks)


def test_the_last_reader_takes_its_disk_along(node: SingleNode) -> None:
    with told(node, OURS) as story:
        writer = Server(story, "a", "rw")
        assert _backstores(node, story) == ["iblock"]
        first, second = Server(story, "b", "ro"), Server(story, "c", "ro")
        assert len(_backstores(node, story)) == 2
        identity = first.identity()
        assert identity == second.identity()
        assert identity[-1] == "FILEIO"  # whatever kind it is of
        first.detach(last=True)
        writer.write("beside them")
        assert second.read() == "beside them"
        second.detach(last=True)
        assert _backstores(node, story) == ["iblock"]
        assert Server(story, "b", "ro").identity() == identity
        writer.write("all the time")
