# SPDX-License-Identifier: Apache-2.0
"""A back end moves without Pacemaker and power switch: sanlock and the watchdog."""

import time
from collections.abc import Iterator

import pytest

from lab.pair import Pair
from tests.lab import hosts
from tests.lab.guest import pacemaker, sanlock
from tests.lab.hosts import Hosts, acls
from tests.lab.test_failover import LONGEST, OPTIONS, has_nothing

pytestmark = pytest.mark.thorough

_GUEST = "tests.lab.guest.sanlock"

#: How long a node that is lost may keep its lease by sanlock, in seconds.
_LEASE = 8.0 * sanlock.IO_TIMEOUT + 60 + 60


@pytest.fixture
def pair(_requirements: None) -> Iterator[Pair]:
    """Two storage nodes with locks on the disk; the first has the group."""
    if missing := [*pacemaker.missing(), *sanlock.missing()]:
        pytest.skip(f"no {', '.join(missing)}: tools/with-packages --profile failover")
    with hosts.pair("by-hand", seconds=300) as made:
        first, _ = made.storage
        for node in made.storage:
            node.call(_GUEST, "join", node.plan, OPTIONS)
        first.call(_GUEST, "make_group")
        first.call(_GUEST, "take", 0)
        yield made


def test_without_a_power_switch_hosts_wait_for_the_watchdog(pair: Pair) -> None:
    first, second = pair.storage
    known = Hosts(pair.host)
    with hosts.driver(first, OPTIONS) as volume:
        known.attach(volume, "a", "b", "c")
        known.detach(volume, "c")
    recorded = known.record(pair.work)
    with pytest.raises(RuntimeError, match="LV locked by other host"):
        second.call(_GUEST, "take", 0)
    assert has_nothing(second)

    first.call(_GUEST, "give_away")
    second.call(_GUEST, "take", 0)
    recorded.wait_until_all_go_on(LONGEST)
    print(f"moved by hand, the longest operation took {recorded.longest():.1f} s")

    second.kernel.cut_power()
    cut = time.monotonic()
    took = first.call(_GUEST, "take", _LEASE)
    print(f"the volumes were the other node's {took:.1f} s after the power cut")
    recorded.wait_until_all_go_on(LONGEST)
    print(f"all hosts go on {time.monotonic() - cut:.1f} s after the power cut")
    assert acls(first) == {"a", "b"}
    assert not known.is_let_in("c")
    with hosts.driver(first, OPTIONS, volume.id) as volume:
        known.attach(volume, "d")
    assert recorded.end(_LEASE + LONGEST) == []
