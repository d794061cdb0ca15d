# SPDX-License-Identifier: Apache-2.0
"""A back end moves between two storage nodes by Pacemaker, and the disk stays the same.

Without a control plane: the driver runs in a process of the node that has the back end.
"""

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
from tests.lab.stories import OURS
from tests.lab.test_shared_group import OPTIONS

_GUEST = "tests.lab.guest.pacemaker"

_OPTIONS = {
    **OPTIONS,
    "backend_host": "storage",
    "target_ip_address": ADDRESS,
    "taikun_floating_addresses": ADDRESS,
}

#: How long an application may wait for a write, in seconds. The goal is 8; the commands
#: of a move are processes, which start slowly in the lab's kernels.
_LONGEST = 60.0
#: How long a host waits for its target, in seconds.
_PATIENCE = 120


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
            node.call(_GUEST, "join", list(STORAGE_PAIR), _OPTIONS)
        first.call(_GUEST, "make_group")
        for node in made.storage:
            node.call(_GUEST, "start")
        first.call(_GUEST, "make_back_end")
        yield made
    finally:
        made.down()


def _write_on(pair: Pair, device: str, block: int) -> str:
    tmo = "/sys/class/iscsi_session/session*/recovery_tmo"
    pair.host.run(f"for file in {tmo}; do echo {_PATIENCE} > $file; done")
    return str(pair.host.call("lab.guest.steady", "begin", device, block))


def _attach(pair: Pair, process: Any, volume: str, name: str) -> tuple[str, Any]:
    """Attach a volume to an initiator of the host; give its device, and what it got."""
    connector = pair.host.call("lab.guest.initiators", "connector", name)
    information = process.backend("attach", volume, connector, None)
    device = pair.host.call("lab.guest.initiators", "login", name, information)
    return str(device), information


def _acls(node: Node) -> set[str]:
    acls = "/sys/kernel/config/target/iscsi/iqn.*/tpgt_1/acls"
    names = node.run(f"ls {acls} 2>/dev/null || true").split()
    return {name.rpartition(":")[2] for name in names}


@pytest.mark.thorough
def test_planned_move_makes_a_writer_wait_for_a_moment(pair: Pair) -> None:
    first, second = pair.storage
    first.call(_GUEST, "wait_for", "storage")
    with first.session() as process:
        process("lab.guest.volume", "start", OURS, _OPTIONS)
        volume = process.backend("create_volume")
        device, leaves = _attach(pair, process, volume, "a")
        pair.host.call("lab.guest.blocks", "write", device, 1, "before")
        serial = pair.host.call("lab.guest.blocks", "identity", device)
    run = _write_on(pair, device, 100)

    first.call(_GUEST, "move", "storage2")
    second.call(_GUEST, "wait_for", "storage2")
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
    assert _acls(first) == set()

    with second.session() as process:
        process("lab.guest.volume", "start", OURS, _OPTIONS)
        other, _ = _attach(pair, process, volume, "b")
        assert pair.host.call("lab.guest.blocks", "read", other, 1) == "before"
        assert _acls(second) == {"a", "b"}
        pair.host.call("lab.guest.initiators", "logout", "a", leaves)
        process.backend("detach", leaves["attachment_id"])
        assert _acls(second) == {"b"}
