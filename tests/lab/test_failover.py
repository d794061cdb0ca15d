# SPDX-License-Identifier: Apache-2.0
"""A back end moves between two storage nodes by Pacemaker, and the disk stays the same.

Without a control plane: the driver runs in a process of the node that has the back end.
"""

import time
from collections.abc import Iterator

import pytest

from lab.node import Node
from lab.pair import Pair
from lab.plan import STORAGE_PAIR
from tests.lab import hosts
from tests.lab.guest import pacemaker
from tests.lab.guest.pacemaker import ADDRESS
from tests.lab.hosts import Hosts, acls
from tests.lab.moving import GUEST
from tests.lab.recorded import Recorded
from tests.lab.test_shared_group import OPTIONS as SHARED

pytestmark = pytest.mark.thorough

OPTIONS = {
    **SHARED,
    "backend_host": "storage",
    "target_ip_address": ADDRESS,
    "taikun_floating_addresses": ADDRESS,
}

#: How long an application may wait for a write, in seconds. The goal is 8; the commands
#: of a move are processes, which start slowly in the lab's kernels.
LONGEST = 60.0
#: How long a node takes until the next start is ready on it, in seconds.
_READY = 25.0
#: How long I/O may stand still when the active node loses its power, in seconds.
_RESUMES = 60.0


@pytest.fixture
def pair(_requirements: None) -> Iterator[Pair]:
    """Two storage nodes with a group that Pacemaker runs on the first."""
    # The nodes have the machine's own programs.
    if missing := pacemaker.missing():
        pytest.skip(f"no {', '.join(missing)}: tools/with-packages")
    with hosts.pair("pair") as made:
        first, _ = made.storage
        for node in made.storage:
            node.call(GUEST, "join", list(STORAGE_PAIR), OPTIONS)
        first.call(GUEST, "make_group")
        for node in made.storage:
            node.call(GUEST, "start")
        first.call(GUEST, "make_back_end")
        first.call(GUEST, "wait_for", first.name)
        yield made


def has_nothing(node: Node) -> bool:
    """Say whether a node neither exports anything nor has a volume of the group."""
    targets = "ls -d /sys/kernel/config/target/iscsi/iqn.* /dev/moving/*"
    return not node.run(f"{targets} 2>/dev/null || true").split()


def _two_hosts_at_work(pair: Pair, node: Node) -> Recorded:
    """Let two hosts write and read a volume of the back end, which the node has."""
    two = Hosts(pair.host)
    with hosts.driver(node, OPTIONS) as volume:
        two.attach(volume, "a", "b")
    return two.record(pair.work)


def test_planned_move_makes_a_writer_wait_for_a_moment(pair: Pair) -> None:
    first, second = pair.storage
    call = pair.host.call
    known = Hosts(pair.host)
    with hosts.driver(first, OPTIONS) as volume:
        known.attach(volume, "a")
    device, identity = known.disks["a"], known.identity("a")
    call("lab.guest.blocks", "write", device, 1, "before")
    for here, there in ((first, second), (second, first), (first, second)):
        time.sleep(_READY)
        run = call("lab.guest.steady", "begin", device, 100)
        here.call(GUEST, "move", there.name)
        there.call(GUEST, "wait_for", there.name)
        before = call("lab.guest.steady", "so_far", run)["writes"]
        call("lab.guest.blocks", "read", device, 1)  # as soon as it is there
        seen = call("lab.guest.steady", "end", run)
        print(f"the longest write took {seen['longest']:.1f} s")
        assert seen["errors"] == []
        assert seen["writes"] > before
        assert seen["longest"] < LONGEST
        assert known.identity("a") == identity
        assert call("lab.guest.blocks", "read", device, 1) == "before"
        last = call("lab.guest.blocks", "read", device, 100)
        assert last == f"write {seen['writes'] - 1}"
        assert acls(here) == set()
        here.call(GUEST, "forget_moves")

    with hosts.driver(second, OPTIONS, volume.id) as volume:
        known.attach(volume, "b")
        assert call("lab.guest.blocks", "read", known.disks["b"], 1) == "before"
        assert acls(second) == {"a", "b"}
        known.detach(volume, "a")
        assert acls(second) == {"b"}


def test_power_cut_of_the_active_node_is_a_wait_for_its_hosts(pair: Pair) -> None:
    first, second = pair.storage
    known = Hosts(pair.host)
    with hosts.driver(first, OPTIONS) as volume:
        known.attach(volume, "a", "b", "c")
        known.detach(volume, "c")
    identities = {name: known.identity(name) for name in ("a", "b")}
    known.reserve("a", "b")
    reservation = known.reservation("a")
    recorded = known.record(pair.work)

    first.kernel.cut_power()
    cut = time.monotonic()
    second.call(GUEST, "wait_for", second.name)
    print(f"the other node has it {time.monotonic() - cut:.1f} s after the power cut")
    recorded.wait_until_all_go_on(_RESUMES)
    print(f"all hosts go on {time.monotonic() - cut:.1f} s after the power cut")
    assert ("off", first.name) in pair.power.asked
    assert ("off", second.name) not in pair.power.asked
    assert acls(second) == {"a", "b"}
    assert not known.is_let_in("c")
    with hosts.driver(second, OPTIONS, volume.id) as volume:
        assert acls(second) == {"a", "b"}
        assert known.reservation("a") == reservation
        known.attach(volume, "d", "e")
        assert acls(second) == {"a", "b", "d", "e"}
        known.detach(volume, "e")
        assert acls(second) == {"a", "b", "d"}
    for name, identity in identities.items():
        assert known.identity(name) == identity

    # The node comes back, and takes nothing.
    first.wait_until_up()
    assert has_nothing(first)
    first.call(GUEST, "join", list(STORAGE_PAIR), OPTIONS)
    first.call(GUEST, "start")
    second.call(GUEST, "wait_for_nodes", 2)
    time.sleep(10)
    assert has_nothing(first)
    second.call(GUEST, "wait_for", second.name)
    recorded.wait_until_all_go_on(10)
    print(f"the longest operation took {recorded.longest():.1f} s")

    second.call(GUEST, "move", first.name)
    first.call(GUEST, "wait_for", first.name)
    recorded.wait_until_all_go_on(LONGEST)
    print(f"the longest operation took {recorded.longest():.1f} s")
    assert has_nothing(second)
    first.call(GUEST, "forget_moves")
    recorded.wait_until_all_go_on(10)
    assert acls(first) == {"a", "b", "d"}
    assert known.reservation("b") == reservation
    assert recorded.end(_RESUMES) == []


def test_of_nodes_that_lose_each_other_one_is_fenced_first(pair: Pair) -> None:
    first, second = pair.storage
    first.call(GUEST, "move", second.name)
    second.call(GUEST, "wait_for", second.name)
    first.call(GUEST, "forget_moves")
    recorded = _two_hosts_at_work(pair, second)

    for node, other in ((first, second), (second, first)):
        node.call(GUEST, "lose", other.plan)
    lost = time.monotonic()
    first.call(GUEST, "wait_for", first.name, _RESUMES)
    assert ("off", second.name) in pair.power.asked
    recorded.wait_until_all_go_on(_RESUMES)
    print(f"all hosts go on {time.monotonic() - lost:.1f} s after the nodes lost touch")
    assert ("off", first.name) not in pair.power.asked
    assert acls(first) == {"a", "b"}
    assert recorded.end(_RESUMES) == []


def test_node_that_hangs_is_fenced_and_never_writes_again(pair: Pair) -> None:
    first, second = pair.storage
    recorded = _two_hosts_at_work(pair, first)

    with first.kernel.stopped():
        hung = time.monotonic()
        second.call(GUEST, "wait_for", second.name)
        recorded.wait_until_all_go_on(_RESUMES)
        print(f"all hosts go on {time.monotonic() - hung:.1f} s after the node hung")
    assert ("off", first.name) in pair.power.asked
    assert ("off", second.name) not in pair.power.asked
    assert acls(second) == {"a", "b"}

    # What wakes up is a node that has booted, and has nothing.
    first.wait_until_up()
    assert has_nothing(first)
    recorded.wait_until_all_go_on(10)
    print(f"the longest operation took {recorded.longest():.1f} s")
    assert recorded.end(_RESUMES) == []
