# SPDX-License-Identifier: Apache-2.0
"""What a run of chaos breaks of a node's disks is broken, and whole again later."""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.node import Node
from lab.plan import VOLUME_GROUP
from lab.single import SingleNode

_DISKS = "tests.chaos.guest.disks"
_FOLDERS = "tests.chaos.guest.folders"

pytestmark = pytest.mark.thorough  # of the harness, and not of the driver

_RECORDS = Path("/var/lib/cinder/taikun_cinder")

VOLUME = "volume-chaos-1"
DEVICE = f"/dev/{VOLUME_GROUP}/{VOLUME}"
READ = f"dd if={DEVICE} of=/dev/null bs=512 count=1 iflag=direct status=none"


@pytest.fixture
def storage(node: SingleNode) -> Node:
    """A node with one volume."""
    node.node.run(f"lvcreate --yes -Zn -L 64m -n {VOLUME} {VOLUME_GROUP}")
    return node.node


@contextlib.contextmanager
def _meanwhile(storage: Node, command: str) -> Iterator[list[float]]:
    """Run a command during the block; the list has the seconds that it took then."""
    told: list[float] = []
    timed = f"s=$(date +%s.%N); {command} && echo $(date +%s.%N) $s"
    with storage.session() as session:
        wait = session.start("lab.guest.command", "run", timed, 60)
        yield told
        status, output = wait()
    assert status == 0, output
    end, start = map(float, output.split()[-2:])
    told.append(end - start)


def _takes(storage: Node, command: str) -> float:
    with _meanwhile(storage, command) as told:
        pass
    return told[0]


@pytest.mark.parametrize("snapshot", [False, True])
def test_slow_disk_is_slow_until_it_is_mended(storage: Node, *, snapshot: bool) -> None:
    if snapshot:
        storage.run(f"lvcreate --yes -s -L 16m -n copy {VOLUME_GROUP}/{VOLUME}")
    assert storage.call(_DISKS, "choose", 0.7) == VOLUME
    _slow_down_and_mend(storage)


def test_slow_thin_disk_is_slow_until_it_is_mended(storage: Node) -> None:
    storage.call(_DISKS, "make_pool", "256m", "1m")
    storage.run(f"lvremove --yes {VOLUME_GROUP}/{VOLUME}")
    thin = f"-V 1g --thinpool {VOLUME_GROUP}/{VOLUME_GROUP}-pool -n {VOLUME}"
    storage.run(f"lvcreate --yes {thin} && echo text > {DEVICE} && sync")
    _slow_down_and_mend(storage)


def _slow_down_and_mend(storage: Node) -> None:
    storage.call(_DISKS, "slow_down", VOLUME, 700)
    assert _takes(storage, READ) > 0.7
    storage.call(_DISKS, "mend", VOLUME)
    assert _takes(storage, READ) < 0.7
    assert "delay" not in storage.run("dmsetup table")


def test_suspended_disk_answers_when_it_is_mended(storage: Node) -> None:
    storage.call(_DISKS, "suspend", VOLUME)
    with _meanwhile(storage, READ) as told:
        time.sleep(2)
        storage.call(_DISKS, "mend", VOLUME)
    assert told[0] > 1


def test_volume_that_is_deleted_meanwhile_is_let_be(storage: Node) -> None:
    storage.run(f"lvremove --yes {VOLUME_GROUP}/{VOLUME}")
    assert storage.call(_DISKS, "choose", 0.5) is None
    storage.call(_DISKS, "slow_down", VOLUME, 20)
    storage.call(_DISKS, "suspend", VOLUME)
    storage.call(_DISKS, "mend", VOLUME)


def _refused(storage: Node, command: str) -> Callable[[], bool]:
    def refused() -> bool:
        try:
            storage.run(command)
        except LabError:
            return True
        return False

    return refused


def test_full_volume_group_has_no_room_until_it_is_emptied(storage: Node) -> None:
    refused = _refused(storage, f"lvcreate --yes -L 4m -n more {VOLUME_GROUP}")
    storage.call(_DISKS, "fill")
    assert refused()
    storage.call(_DISKS, "fill")  # there is nothing left to take
    storage.call(_DISKS, "empty")
    assert not refused()
    storage.call(_DISKS, "empty")


def test_full_thin_pool_lets_writes_wait_until_it_is_emptied(storage: Node) -> None:
    storage.call(_DISKS, "make_pool", "256m", "1m")
    pool = f"{VOLUME_GROUP}/{VOLUME_GROUP}-pool"
    storage.run(f"lvcreate --yes -V 1g --thinpool {pool} -n thin")
    storage.call(_DISKS, "fill")
    assert storage.run(f"lvs --noheadings -o data_percent {pool}").strip() == "100.00"
    write = f"dd if=/dev/zero of=/dev/{VOLUME_GROUP}/thin bs=4096 count=1 oflag=direct"
    with _meanwhile(storage, write) as told:
        time.sleep(2)
        storage.call(_DISKS, "empty")
    assert told[0] > 1


@pytest.mark.parametrize(
    ("break_it", "mend_it", "why"),
    [("fill", "empty", "No space left"), ("forbid", "allow", "Read-only file system")],
)
def test_folder_of_records_takes_no_record_until_it_is_mended(
    storage: Node, break_it: str, mend_it: str, why: str
) -> None:
    storage.call("lab.guest.disks", "mount_state", _RECORDS)
    write = f"echo record > {_RECORDS}/new && sync -f {_RECORDS}/new"
    try:
        storage.call(_FOLDERS, break_it)
        with pytest.raises(LabError, match=why):
            storage.run(write)
        storage.call(_FOLDERS, mend_it)
        storage.run(write)
    finally:
        storage.run(f"rm {_RECORDS}/new && umount {_RECORDS}")
