# SPDX-License-Identifier: Apache-2.0
"""A back end moves between two storage nodes by Pacemaker, and the disk stays the same.

Without a control plane: the driver runs in a process of the node that has the back end.
"""

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import pytest

from lab.node import Node
from lab.pair import Pair
from lab.plan import STORAGE_PAIR
from lab.workdir import WorkFolder
from tests.lab.conftest import folder
from tests.lab.guest import pacemaker
from tests.lab.guest.pacemaker import ADDRESS
from tests.lab.moving import GUEST, acls, prepare_host
from tests.lab.recorded import Recorded
from tests.lab.stories import OURS
from tests.lab.test_shared_group import OPTIONS

_OPTIONS = {
    **OPTIONS,
    "backend_host": "storage",
    "target_ip_address": ADDRESS,
    "taikun_floating_addresses": ADDRESS,
}

#: How long an application may wait for a write, in seconds. The goal is 8; the commands
#: of a move are processes, which start slowly in the lab's kernels.
_LONGEST = 60.0
#: How long I/O may stand still when the active node loses its power, in seconds.
_RESUMES = 60.0
#: iscsiadm's status when the target does not let an initiator in.
_REFUSED = 24


@pytest.fixture
def pair(_requirements: None) -> Iterator[Pair]:
    """Two storage nodes with a group that Pacemaker runs on the first."""
    # The nodes have the machine's own programs.
    if missing := pacemaker.missing():
        pytest.skip(f"no {', '.join(missing)}: tools/with-packages --profile failover")
    made = Pair(WorkFolder(folder("pair")))
    made.up()
    try:
        first, _ = made.storage
        for node in made.storage:
            node.call(GUEST, "join", list(STORAGE_PAIR), _OPTIONS)
        first.call(GUEST, "make_group")
        for node in made.storage:
            node.call(GUEST, "start")
        first.call(GUEST, "make_back_end")
        prepare_host(made.host)
        yield made
    finally:
        made.down()


def _write_on(pair: Pair, device: str, block: int) -> str:
    return str(pair.host.call("lab.guest.steady", "begin", device, block))


def _attach(pair: Pair, process: Any, volume: str, name: str) -> tuple[str, Any]:
    """Attach a volume to an initiator of the host; give its device, and what it got."""
    connector = pair.host.call("lab.guest.initiators", "connector", name)
    information = process.backend("attach", volume, connector, None)
    device = pair.host.call("lab.guest.initiators", "login", name, information)
    return str(device), information


def _detach(pair: Pair, process: Any, name: str, information: Any) -> None:
    pair.host.call("lab.guest.initiators", "logout", name, information)
    process.backend("detach", information["attachment_id"])


def _is_let_in(pair: Pair, name: str, information: Any) -> bool:
    """Say whether the target lets an initiator in with what it was told once."""
    try:
        pair.host.call("lab.guest.initiators", "login", name, information)
    except RuntimeError as refused:
        if f"ended with {_REFUSED}" not in str(refused):
            raise
        return False
    return True


@contextlib.contextmanager
def _driver(node: Node) -> Iterator[Any]:
    """Start the driver in a process of the node that has the back end."""
    with node.session() as process:
        process("lab.guest.volume", "start", OURS, _OPTIONS)
        yield process


def _has_nothing(node: Node) -> bool:
    """Say whether a node neither exports anything nor has a volume of the group."""
    targets = "ls -d /sys/kernel/config/target/iscsi/iqn.* /dev/moving/*"
    return not node.run(f"{targets} 2>/dev/null || true").split()


@pytest.mark.thorough
def test_planned_move_makes_a_writer_wait_for_a_moment(pair: Pair) -> None:
    first, second = pair.storage
    first.call(GUEST, "wait_for", "storage")
    with _driver(first) as process:
        volume = process.backend("create_volume")
        device, leaves = _attach(pair, process, volume, "a")
        pair.host.call("lab.guest.blocks", "write", device, 1, "before")
        serial = pair.host.call("lab.guest.blocks", "identity", device)
    run = _write_on(pair, device, 100)

    first.call(GUEST, "move", "storage2")
    second.call(GUEST, "wait_for", "storage2")
    before = pair.host.call("lab.guest.steady", "so_far", run)["writes"]
    pair.host.call("lab.guest.blocks", "read", device, 1)  # as soon as it is there
    seen = pair.host.call("lab.guest.steady", "end", run)
    print(f"the longest write took {seen['longest']:.1f} s")
    assert seen["errors"] == []
    assert seen["writes"] > before
    assert seen["longest"] < _LONGEST
    assert pair.host.call("lab.guest.blocks", "identity", device) == serial
    assert pair.host.call("lab.guest.blocks", "read", device, 1) == "before"
    last = pair.host.call("lab.guest.blocks", "read", device, 100)
    assert last == f"write {seen['writes'] - 1}"
    assert acls(first) == set()

    with _driver(second) as process:
        other, _ = _attach(pair, process, volume, "b")
        assert pair.host.call("lab.guest.blocks", "read", other, 1) == "before"
        assert acls(second) == {"a", "b"}
        _detach(pair, process, "a", leaves)
        assert acls(second) == {"b"}


def _two_hosts(pair: Pair, process: Any) -> tuple[str, dict[str, str], dict[str, Any]]:
    """Attach a volume to two initiators; give its id, and of each its disk and more."""
    volume = process.backend("create_volume")
    disks, told = {}, {}
    for name in ("a", "b"):
        disks[name], told[name] = _attach(pair, process, volume, name)
    return volume, disks, told


def _record(pair: Pair, disks: dict[str, str]) -> Recorded:
    hosts = Recorded(pair.host, pair.work, disks)
    hosts.wait_until_all_go_on(30)
    return hosts


@pytest.mark.thorough
def test_power_cut_of_the_active_node_is_a_wait_for_its_hosts(pair: Pair) -> None:
    first, second = pair.storage
    first.call(GUEST, "wait_for", "storage")
    with _driver(first) as process:
        volume, disks, told = _two_hosts(pair, process)
        _, told["c"] = _attach(pair, process, volume, "c")
        _detach(pair, process, "c", told["c"])
    serials = {
        name: pair.host.call("lab.guest.blocks", "identity", disk)
        for name, disk in disks.items()
    }
    hosts = _record(pair, disks)

    first.kernel.cut_power()
    cut = time.monotonic()
    second.call(GUEST, "wait_for", "storage2")
    print(f"the other node has it {time.monotonic() - cut:.1f} s after the power cut")
    hosts.wait_until_all_go_on(_RESUMES)
    print(f"all hosts go on {time.monotonic() - cut:.1f} s after the power cut")
    assert ("off", "storage") in pair.power.asked
    assert ("off", "storage2") not in pair.power.asked
    assert acls(second) == {"a", "b"}
    assert not _is_let_in(pair, "c", told["c"])
    with _driver(second) as process:
        assert acls(second) == {"a", "b"}
        _attach(pair, process, volume, "d")
        assert acls(second) == {"a", "b", "d"}
        _, told["e"] = _attach(pair, process, volume, "e")
        _detach(pair, process, "e", told["e"])
        assert acls(second) == {"a", "b", "d"}
    for name, disk in disks.items():
        assert pair.host.call("lab.guest.blocks", "identity", disk) == serials[name]

    # The node comes back, and takes nothing.
    first.wait_until_up()
    assert _has_nothing(first)
    first.call(GUEST, "join", list(STORAGE_PAIR), _OPTIONS)
    first.call(GUEST, "start")
    second.call(GUEST, "wait_for_nodes", 2)
    time.sleep(10)
    assert _has_nothing(first)
    second.call(GUEST, "wait_for", "storage2")
    hosts.wait_until_all_go_on(10)
    print(f"the longest operation took {hosts.longest():.1f} s")

    second.call(GUEST, "move", "storage")
    first.call(GUEST, "wait_for", "storage")
    hosts.wait_until_all_go_on(_LONGEST)
    print(f"the longest operation took {hosts.longest():.1f} s")
    assert _has_nothing(second)
    first.call(GUEST, "forget_moves")
    hosts.wait_until_all_go_on(10)
    assert acls(first) == {"a", "b", "d"}
    assert hosts.end(_RESUMES) == []


@pytest.mark.thorough
def test_of_nodes_that_lose_each_other_one_is_fenced_first(pair: Pair) -> None:
    first, second = pair.storage
    first.call(GUEST, "wait_for", "storage")
    with _driver(first) as process:
        _, disks, _ = _two_hosts(pair, process)
    first.call(GUEST, "move", "storage2")
    second.call(GUEST, "wait_for", "storage2")
    first.call(GUEST, "forget_moves")
    hosts = _record(pair, disks)

    for node, other in ((first, second), (second, first)):
        node.call(GUEST, "lose", other.plan)
    lost = time.monotonic()
    first.call(GUEST, "wait_for", "storage", _RESUMES)
    assert ("off", "storage2") in pair.power.asked
    hosts.wait_until_all_go_on(_RESUMES)
    print(f"all hosts go on {time.monotonic() - lost:.1f} s after the nodes lost touch")
    assert ("off", "storage") not in pair.power.asked
    assert acls(first) == {"a", "b"}
    assert hosts.end(_RESUMES) == []


@pytest.mark.thorough
def test_node_that_hangs_is_fenced_and_never_writes_again(pair: Pair) -> None:
    first, second = pair.storage
    first.call(GUEST, "wait_for", "storage")
    with _driver(first) as process:
        _, disks, _ = _two_hosts(pair, process)
    hosts = _record(pair, disks)

    with first.kernel.stopped():
        hung = time.monotonic()
        second.call(GUEST, "wait_for", "storage2")
        hosts.wait_until_all_go_on(_RESUMES)
        print(f"all hosts go on {time.monotonic() - hung:.1f} s after the node hung")
    assert ("off", "storage") in pair.power.asked
    assert ("off", "storage2") not in pair.power.asked
    assert acls(second) == {"a", "b"}

    # What wakes up is a node that has booted, and has nothing.
    first.wait_until_up()
    assert _has_nothing(first)
    hosts.wait_until_all_go_on(10)
    print(f"the longest operation took {hosts.longest():.1f} s")
    assert hosts.end(_RESUMES) == []
