# SPDX-License-Identifier: Apache-2.0
"""A host that nobody can reach goes on writing; it is fenced off for a standby."""

import time
from collections.abc import Callable

import pytest
from cinderclient import exceptions

from lab import attachments
from lab.attachments import Attached
from lab.cluster import Cluster
from lab.demo import USER
from lab.errors import LabError
from lab.guest.blocks import BLOCK
from lab.plan import VOLUME_GROUP
from tests.lab import shared
from tests.lab.shared import Shared, writing

pytestmark = pytest.mark.in_turn(3, of="file")

#: Where the host writes, in MiB, and the blocks of it that are looked at.
_MIB = 64
_BLOCKS = range(_MIB * 2**20 // BLOCK, (_MIB + 2) * 2**20 // BLOCK, 16)


def _attachment_deleted(volume: Shared, host: Attached) -> None:
    """Delete it with a service token, as Nova does when it evacuates the server."""
    volume.end(host.attachment)


def _force_detached(volume: Shared, host: Attached) -> None:
    """Detach by hand: an operator knows the host by its initiator's name."""
    cinder = volume.cluster.clients.volume("admin", "nova")
    body = {
        "attachment_id": host.attachment,
        "connector": {"initiator": host.node.plan.initiator},
    }
    cinder.volumes._action("os-force_detach", volume.id, body)


def _on_the_disk(volume: Shared, blocks: range) -> list[str]:
    """Read the first bytes of blocks where the volume lives, past all caches."""
    device = f"/dev/{VOLUME_GROUP}/volume-{volume.id}"
    storage = volume.cluster.nodes["storage"]
    with storage.session() as session:
        return [session("lab.guest.blocks", "read", device, block) for block in blocks]


def _wait_until_back(host: Attached) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            host.node.run("true")
        except (LabError, OSError):
            assert time.monotonic() < deadline
            time.sleep(1)
        else:
            return


@pytest.mark.parametrize("fence", [_attachment_deleted, _force_detached])
def test_no_write_of_a_fenced_host_gets_through(
    cluster: Cluster, fence: Callable[[Shared, Attached], None]
) -> None:
    with shared.volume(cluster, secondary_mode="ro") as volume:
        active = volume.attach("compute1")
        watcher = volume.attach("compute2")
        assert watcher.information["access_mode"] == "ro"
        node = active.node
        flood = node.call("tests.lab.guest.flood", "begin", active.path, _MIB)
        _wait_until_flooded(volume)
        with writing(active, 1) as seen:
            with cluster.cut_off(node.name):
                assert not node.answers()
                before = _on_the_disk(volume, range(1, 2))
                time.sleep(1)
                assert _on_the_disk(volume, range(1, 2)) != before, "it stopped"

                fence(volume, active)
                # At once: a write that came through later would show in these blocks.
                _overwrite(volume, "fenced", 1, *_BLOCKS)
                assert volume.initiators() == {watcher.node.plan.initiator}
                volume.detach(watcher)
                standby = volume.attach("compute2")
                assert standby.information["access_mode"] == "rw"
                standby.write(2, "the standby goes on")
                time.sleep(5)
            _wait_until_back(active)
            time.sleep(5)
        assert seen["errors"] != []
        node.call("tests.lab.guest.flood", "end", flood)
        assert set(_on_the_disk(volume, _BLOCKS)) == {"fenced"}
        assert _on_the_disk(volume, range(1, 3)) == ["fenced", "the standby goes on"]

        _comes_back_with_a_new_attachment_only(volume, active)
        volume.detach(standby)
        _tidy_up(active)


def test_a_host_that_is_force_detached_again_is_out_at_once(cluster: Cluster) -> None:
    """Cinder's API says nothing of a termination but the request that it is for."""
    with shared.volume(cluster) as volume:
        other = volume.attach("compute2")
        for _ in range(2):
            fenced = volume.attach("compute1")
            _force_detached(volume, fenced)
            assert volume.initiators() == {other.node.plan.initiator}
        other.write(1, "still there")
        volume.detach(other)
        _tidy_up(fenced)


def _tidy_up(fenced: Attached) -> None:
    """Let the host forget the session, for the tests behind this one.

    It came back with another disk than it was fenced off with, the readers'. os-brick
    logs out with the last disk of a session only, and nobody has disconnected the first
    one: its nova-compute was dead.
    """
    target = fenced.information["target_iqn"]
    for what in ("--logout", "-o delete"):
        fenced.node.run(f"iscsiadm -m node -T {target} {what} || true")


def _wait_until_flooded(volume: Shared) -> None:
    """See that what is written in between is gone at once: zeroes come all the time."""
    _overwrite(volume, "in between", *_BLOCKS)
    deadline = time.monotonic() + 60
    while (found := set(_on_the_disk(volume, _BLOCKS))) != {""}:
        assert time.monotonic() < deadline, f"nobody writes over {found}"


def _overwrite(volume: Shared, text: str, *blocks: int) -> None:
    device = f"/dev/{VOLUME_GROUP}/volume-{volume.id}"
    storage = volume.cluster.nodes["storage"]
    with storage.session() as session:
        for block in blocks:
            session("lab.guest.blocks", "write", device, block, text)


def _comes_back_with_a_new_attachment_only(volume: Shared, fenced: Attached) -> None:
    """See that it does, and that nobody has to log the host out by hand."""
    node = fenced.node
    with pytest.raises(OSError, match=r"(?i)error|no such device"):
        fenced.read(2)
    assert node.plan.initiator not in volume.initiators()
    cinder = volume.cluster.clients.volume(USER)
    with pytest.raises(exceptions.NotFound):
        cinder.attachments.show(fenced.attachment)
    again = volume.attach(node.name)
    assert _read_when_it_can(again, 2) == "the standby goes on"
    attachments.detach(volume.cluster.clients, USER, again)


def _read_when_it_can(host: Attached, block: int) -> str:
    """Read when the host's initiator has logged in again, which it does by itself."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return host.read(block)
        except OSError:
            assert time.monotonic() < deadline, "the disk does not come"
            time.sleep(0.5)
