# SPDX-License-Identifier: Apache-2.0
"""No second server writes to what is for one: real disks, and what real tools make."""

import pytest

from lab.node import Call
from lab.plan import VOLUME_GROUP
from lab.single import SingleNode
from taikun_cinder.access.contents import Content, Look
from tests.contract.suite import A, grant
from tests.lab.lio_world import NodeLab
from tests.lab.stories import OURS, Story
from tests.lab.test_lio_privileges import as_user
from tests.lab.writers import undisturbed

pytestmark = pytest.mark.in_turn(5, of="file")

CONTENTS = "tests.lab.guest.contents"
_HANGING = "tests.lab.guest.hanging"

#: The user of the program that looks, see ``privsep.probe``.
_USER = 65533

#: What a server makes of its disk, and the words for what is for one server then.
KINDS = {
    "blank": "",
    "ext4": "ext4",
    "OCFS2": "",
    "xfs": "xfs",
    "unknown": "",
    "btrfs": "btrfs",
    "swap": "swap",
    "GFS2": "",
    "GFS2 for one": r"gfs2 \(local\)",
    "OCFS2 for one": r"ocfs2 \(local\)",
    "LUKS": "crypto_LUKS",
    "LVM": "LVM2_member",
    "LVM of several": "",
    "GPT": "",
    "GPT with ext4": "ext4 on partition 2",
    "MBR with ext4": "ext4 on partition 5",
    "half of ext4": "",
}


def _refused(story: Story, host: str, words: str) -> None:
    """See that a host is not let in, and nothing stays of it."""
    reserved = story.driver("reserve", story.volume)
    with pytest.raises(Exception, match=words):
        story.driver("update", reserved, story.connector(host))
    story.driver("forget_attachment", reserved)
    assert story.initiators() == ["iqn.2026-11.example.lab:a"]


def test_a_second_writer_comes_by_what_is_on_the_disk(node: SingleNode) -> None:
    with node.backend(OURS, {"taikun_filesystem_guard": "deny"}) as backend:
        story = Story(node, backend)
        disk = story.attach("a")
        for kind, found in KINDS.items():
            # Each look must see what the host has written since the one before.
            story.guest(CONTENTS, "fill", disk, kind)
            if found:
                _refused(story, "b", f"may write to it, and it has {found}, which is")
            else:
                story.attach("b")
                story.detach("b")


def test_a_second_server_reads_where_it_must_not_write(node: SingleNode) -> None:
    with node.backend(OURS, {"taikun_filesystem_guard": "ro"}) as backend:
        story = Story(node, backend)
        writer = story.attach("a")
        story.guest(CONTENTS, "fill", writer, "GPT with ext4")
        with undisturbed(story, writer):
            reader = story.attach("b", mode="rw")
        assert story.information("b")["access_mode"] == "ro"
        said = story.guest("lab.guest.disk", "write_raw", reader, "by force")
        assert "Write protected" in said
        story.detach("a")
        assert story.information("b")["access_mode"] == "ro"


def test_the_reconcile_warns_of_writers_that_are_there_already(
    node: SingleNode,
) -> None:
    with node.backend(OURS, {"taikun_filesystem_guard": "deny"}) as backend:
        story = Story(node, backend)
        disks = [story.attach(host) for host in "ab"]
        assert story.inside(CONTENTS, "endangered") == {}
        story.guest(CONTENTS, "fill", disks[0], "ext4")
        with undisturbed(story, *disks):
            story.inside(CONTENTS, "look_again")
            assert story.inside(CONTENTS, "endangered") == {story.volume: "ext4"}
        story.detach("b")
        assert story.inside(CONTENTS, "endangered") == {}


def test_a_disk_that_does_not_answer_lets_no_second_writer_in(
    node: SingleNode,
) -> None:
    with node.backend(OURS, {"taikun_filesystem_guard": "deny"}) as backend:
        story = Story(node, backend)
        other = story.driver("create_volume")
        disk = story.attach("a")
        story.guest(CONTENTS, "fill", disk, "OCFS2")
        device = f"/dev/{VOLUME_GROUP}/volume-{story.volume}"
        story.guest(_HANGING, "suspend", device)
        try:
            told = story.inside(
                CONTENTS,
                "attach_while_it_hangs",
                story.volume,
                story.connector("b"),
                other,
                story.connector("c"),
            )
            assert "its disk did not answer in 5 s" in told["error"]
            assert 5 <= told["seconds"] < 15
            assert told["beside"] < 4
            assert told["looking"] == [{"uids": {_USER}, "capabilities": 0}]
            # Such a read can be killed, as LIO has the disk open beside it: nobody
            # waits in the kernel for the disk's cache to be emptied.
            assert story.guest(CONTENTS, "looking") == 0
        finally:
            story.guest(_HANGING, "resume", device)
        story.driver("forget_reserved", story.volume)
        story.attach("b")


def test_a_plain_user_looks_by_the_privileged_process(
    process: Call, lab: NodeLab
) -> None:
    process("lab.guest.system", "run", "mkfs.ext4", "-q", "-F", lab.device)
    told = as_user(process, ("look", (lab.device,)), ("look", ("/dev/vda",)))
    first, second = told["results"]
    assert first == Look((Content("ext4"),))
    assert "/dev/vda" in second.failure
    (status,) = told["status"]
    # Its own rights are what they were, see test_lio_privileges.
    assert "CapEff:\t0000000000200000" in status


def test_a_plain_users_look_that_hangs_is_ended(process: Call, lab: NodeLab) -> None:
    as_user(process, ("ensure", (lab.name, lab.export(grant(A)))))
    process(_HANGING, "suspend", lab.device)
    try:
        told = as_user(process, ("look", (lab.device,)))
        assert told["results"] == [Look(failure="its disk did not answer in 5 s")]
        # The privileged process may not kill another user's, and yet:
        assert process(CONTENTS, "looking") == 0
    finally:
        process(_HANGING, "resume", lab.device)
