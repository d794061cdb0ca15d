# SPDX-License-Identifier: Apache-2.0
"""Two cinder-volume processes serve one back end, as while one takes over from another.

Both take requests from the same queue, so those of one volume land on either. The
volume's lock is Cinder's own: tooz over files, and over MariaDB where the processes
share no folder.
"""

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from lab.cluster import VOLUME_SERVICE, Cluster
from lab.guest.iscsi import REPLACEMENT_TIMEOUT
from lab.plan import CONTROL
from lab.services import mariadb
from tests.lab import coordinated, shared
from tests.lab.shared import Shared, initiator

pytestmark = pytest.mark.in_turn(7, of="what a cluster bears")

SECOND = f"{VOLUME_SERVICE}-2"
#: How often a host comes and goes.
ROUNDS = 3
STEADY, COMING = "compute1", "compute2"


@pytest.fixture
def _locks_in_the_database(cluster: Cluster) -> Iterator[None]:
    """Let cinder-volume's locks be in MariaDB, as for services without a folder."""
    password = cluster.control.passwords["mariadb"]
    url = f"mysql://cinder:{password}@{CONTROL}:{mariadb.PORT}/cinder"
    with coordinated.by(cluster, url):
        yield


@contextlib.contextmanager
def _second_service(cluster: Cluster) -> Iterator[None]:
    """Let a second process serve the back end too, in the block."""
    cluster.start_volume_service(SECOND)
    try:
        cluster.wait_for_volume_services(2)
        yield
    finally:
        cluster.end_volume_service(SECOND)
        cluster.wait_for_volume_services(1)


def _at_once(cluster: Cluster, actions: Sequence[Callable[[], object]]) -> None:
    barrier = threading.Barrier(len(actions))

    def take(action: Callable[[], object]) -> None:
        cluster.sandbox.join_network()
        barrier.wait()
        action()

    with ThreadPoolExecutor(len(actions)) as pool:
        for taken in [pool.submit(take, action) for action in actions]:
            taken.result()


def _comes_and_goes(volume: Shared, rounds: int) -> None:
    """A host that is let in reads what the others wrote, and leaves."""
    for _ in range(rounds):
        attached = volume.attach(COMING)
        assert attached.read(1) == "shared"
        volume.detach(attached)


def _is_let_in_and_out(volume: Shared, host: str, rounds: int) -> None:
    for _ in range(rounds):
        attachment, _information = volume.let_in(host)
        assert initiator(host) in volume.initiators()
        volume.end(attachment)


def _served(cluster: Cluster, service: str, volume: Shared) -> bool:
    """Say whether a process has worked on requests for the volume."""
    lines = cluster.work.log(service).read_text().splitlines()
    return any(
        "Connection info returned" in line and volume.id in line for line in lines
    )


def test_two_services_keep_the_laws_together(cluster: Cluster) -> None:
    tell(cluster)


def tell(cluster: Cluster) -> None:
    """Tell the story of two services that work on one volume at once."""
    with shared.volume(cluster) as volume:
        staying = volume.attach(STEADY)
        staying.write(1, "shared")
        run = staying.node.call("lab.guest.steady", "begin", staying.path, 20)

        with _second_service(cluster):
            _at_once(
                cluster,
                [
                    lambda: _comes_and_goes(volume, ROUNDS),
                    # Another server of the writing host, and a host of its own.
                    lambda: _is_let_in_and_out(volume, STEADY, ROUNDS),
                    lambda: _is_let_in_and_out(volume, "compute3", ROUNDS),
                ],
            )
            assert volume.initiators() == {initiator(STEADY)}
            for service in (VOLUME_SERVICE, SECOND):
                assert _served(cluster, service, volume), f"{service} was idle"

            more = [volume.let_in(host)[0] for host in (STEADY, COMING, "compute3")]
            _at_once(
                cluster,
                [functools.partial(volume.end, attachment) for attachment in more],
            )
            assert volume.initiators() == {initiator(STEADY)}

        seen = staying.node.call("lab.guest.steady", "end", run)
        assert seen["errors"] == []
        assert seen["longest"] < REPLACEMENT_TIMEOUT
        volume.detach(staying)
        assert not volume.is_exported()
        assert not volume.is_open()


@pytest.mark.usefixtures("_locks_in_the_database")
def test_an_attach_waits_for_the_lock_in_the_database(cluster: Cluster) -> None:
    with (
        shared.volume(cluster) as volume,
        mariadb.connect(cluster.control.passwords) as database,
        ThreadPoolExecutor(1, initializer=cluster.sandbox.join_network) as pool,
    ):
        name = f"cinder-taikun_cinder-{volume.id}"
        with database.cursor() as cursor:
            cursor.execute("SELECT GET_LOCK(%s, 0)", (name,))
            attach = pool.submit(volume.let_in, COMING)
            with pytest.raises(TimeoutError):
                attach.result(timeout=10)
            assert volume.initiators() == set()
            cursor.execute("SELECT RELEASE_LOCK(%s)", (name,))
        attachment, _information = attach.result()
        assert volume.initiators() == {initiator(COMING)}
        volume.end(attachment)
