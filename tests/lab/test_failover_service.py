# SPDX-License-Identifier: Apache-2.0
"""A back end moves with its cinder-volume.

What hosts see when a node dies is in ``test_failover.py``.
"""

import time
from collections.abc import Iterator

import pytest

from lab.demo import USER
from lab.progress import Terminal
from lab.workdir import WorkFolder
from tests.lab import shared
from tests.lab.conftest import folder
from tests.lab.guest import pacemaker
from tests.lab.hosts import Hosts, OfApi, acls
from tests.lab.moving import BACKEND, GUEST, MovingCluster

pytestmark = pytest.mark.thorough

#: How long I/O may stand still when the active node loses its power, in seconds.
_RESUMES = 60.0
#: The longest that an operation may take when only cinder-volume dies, in seconds.
_UNNOTICED = 5.0


@pytest.fixture(scope="module")
def _moving(_requirements: None) -> Iterator[MovingCluster]:
    if missing := pacemaker.missing():
        pytest.skip(f"no {', '.join(missing)}: tools/with-packages")
    cluster = MovingCluster.up(WorkFolder(folder("moving")), Terminal())
    yield cluster
    cluster.down()


@pytest.fixture
def moving(_moving: MovingCluster) -> MovingCluster:
    """The cluster, with its back end on the first node."""
    _moving.sandbox.join_network()
    return _moving


@pytest.fixture
def volume(moving: MovingCluster) -> Iterator[OfApi]:
    """A volume of the back end."""
    with shared.volume(moving, BACKEND) as made:
        yield OfApi(moving.clients, USER, made.id)


@pytest.fixture
def known(moving: MovingCluster, volume: OfApi) -> Iterator[Hosts]:
    """Two hosts that have the volume, with all that the test attached besides."""
    known = Hosts(moving.host)
    known.attach(volume, "a", "b")
    yield known
    known.detach(volume, *list(known.disks))


def test_service_that_dies_alone_is_started_in_its_place(
    moving: MovingCluster, volume: OfApi, known: Hosts
) -> None:
    first, _ = moving.storage
    recorded = known.record(moving.work)
    process = first.run("pgrep -o -u cinder -f bin/cinder-volume").strip()
    first.run("pkill -KILL -u cinder -f bin/cinder-volume")
    killed = time.monotonic()
    known.attach(volume, "c")
    print(f"a host is attached {time.monotonic() - killed:.1f} s after the kill")
    assert first.run("pgrep -o -u cinder -f bin/cinder-volume").strip() != process
    known.detach(volume, "c")
    assert ("off", first.name) not in moving.power.asked
    first.call(GUEST, "wait_for", first.name)
    print(f"the longest operation took {recorded.longest():.1f} s")
    assert recorded.longest() < _UNNOTICED
    assert recorded.end(_RESUMES) == []


def test_planned_move_takes_the_service_along(
    moving: MovingCluster, volume: OfApi, known: Hosts
) -> None:
    first, second = moving.storage
    recorded = known.record(moving.work)
    for node in (second, first):
        first.call(GUEST, "move", node.name)
        node.call(GUEST, "wait_for", node.name)
        recorded.wait_until_all_go_on(_RESUMES)
        print(f"the longest operation took {recorded.longest():.1f} s")
        began = time.monotonic()
        known.attach(volume, "c")
        print(f"a host is attached {time.monotonic() - began:.1f} s after the move")
        known.detach(volume, "c")
    first.call(GUEST, "forget_moves")
    assert recorded.end(_RESUMES) == []


@pytest.mark.parametrize("control_plane", ["up", "down"])
def test_power_cut_takes_the_service_to_the_other_node(
    moving: MovingCluster, volume: OfApi, known: Hosts, control_plane: str
) -> None:
    down = list(moving.daemons.values()) if control_plane == "down" else []
    first, second = moving.storage
    known.attach(volume, "c")
    known.detach(volume, "c")
    recorded = known.record(moving.work)
    for daemon in down:
        daemon.stop()

    first.kernel.cut_power()
    cut = time.monotonic()
    second.call(GUEST, "wait_for", second.name)
    recorded.wait_until_all_go_on(_RESUMES)
    print(f"all hosts go on {time.monotonic() - cut:.1f} s after the power cut")
    assert ("off", first.name) in moving.power.asked
    assert acls(second) == {"a", "b"}

    for daemon in down:
        daemon.start()
    if down:  # RabbitMQ has lost its queues, and drops what is sent before
        moving.wait_until_it_is_served()
    began = time.monotonic()
    known.attach(volume, "d")
    print(f"and one more is attached {time.monotonic() - began:.1f} s after that")
    assert acls(second) == {"a", "b", "d"}
    known.detach(volume, "d")
    assert acls(second) == {"a", "b"}
    assert recorded.end(_RESUMES) == []

    first.wait_until_up()
    moving.join(first)
    first.call(GUEST, "start")
    second.call(GUEST, "wait_for_nodes", 2)
    second.call(GUEST, "move", first.name)
    first.call(GUEST, "wait_for", first.name)
    first.call(GUEST, "forget_moves")
