# SPDX-License-Identifier: Apache-2.0
"""A back end is moved without Pacemaker: with sanlock and watchdogs, and with DRBD."""

import time
from collections.abc import Iterator

import pytest

from lab.pair import Pair
from tests.lab import hosts
from tests.lab.guest import drbd, sanlock
from tests.lab.hosts import Hosts, acls
from tests.lab.test_failover import LONGEST, OPTIONS, has_nothing

pytestmark = pytest.mark.thorough

_WAYS = {"sanlock": sanlock, "drbd": drbd}

#: What the other node is told, as long as one has the volumes.
_REFUSALS = {"sanlock": "LV locked by other host", "drbd": "Multiple primaries"}


@pytest.fixture(params=_WAYS)
def way(request: pytest.FixtureRequest) -> str:
    """What keeps the nodes apart."""
    return str(request.param)


@pytest.fixture
def pair(_requirements: None, way: str) -> Iterator[Pair]:
    """Two storage nodes; the first has the back end."""
    guest = _WAYS[way].__name__
    if missing := _WAYS[way].missing():
        pytest.skip(f"no {', '.join(missing)}: tools/with-packages --profile failover")
    with hosts.pair(f"by-hand-{way}", seconds=300) as made:
        first, _ = made.storage
        for node in made.storage:
            node.call(guest, "join", node.plan, OPTIONS)
        first.call(guest, "make_group")
        first.call(guest, "take", 0)
        yield made


def test_hosts_wait_until_the_other_node_may_have_the_volumes(
    pair: Pair, way: str
) -> None:
    guest, patience = _WAYS[way].__name__, _WAYS[way].KEEPS + LONGEST
    first, second = pair.storage
    known = Hosts(pair.host)
    with hosts.driver(first, OPTIONS) as volume:
        known.attach(volume, "a", "b", "c")
        known.detach(volume, "c")
    identity = known.identity("a")
    recorded = known.record(pair.work)
    with pytest.raises(RuntimeError, match=_REFUSALS[way]):
        second.call(guest, "take", 0)
    assert has_nothing(second)

    first.call(guest, "give_away")
    second.call(guest, "take", 0)
    recorded.wait_until_all_go_on(LONGEST)
    print(f"moved by hand, the longest operation took {recorded.longest():.1f} s")

    second.kernel.cut_power()
    cut = time.monotonic()
    took = first.call(guest, "take", patience)
    print(f"the volumes were the other node's {took:.1f} s after the power cut")
    recorded.wait_until_all_go_on(LONGEST)
    print(f"all hosts go on {time.monotonic() - cut:.1f} s after the power cut")
    assert acls(first) == {"a", "b"}
    assert known.identity("a") == identity
    assert not known.is_let_in("c")
    with hosts.driver(first, OPTIONS, volume.id) as volume:
        known.attach(volume, "d")
    assert recorded.end(patience) == []
