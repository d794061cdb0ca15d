# SPDX-License-Identifier: Apache-2.0
"""Cinder's services have their locks in a real etcd, which dies and comes back."""

import contextlib
import functools
import json
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from cinderclient import exceptions
from tooz import coordination

from lab.cluster import VOLUME_SERVICE, Cluster
from lab.demo import USER
from lab.guest.iscsi import REPLACEMENT_TIMEOUT
from lab.services import etcd
from lab.services.daemon import Daemon
from tests.lab import coordinated, shared
from tests.lab.shared import Shared, initiator
from tests.lab.test_two_services import tell

pytestmark = pytest.mark.thorough

#: How long a lock lives whose owner does not say a word, in seconds. tooz has 30.
_LIFE = 10

#: How long an answer may take when etcd is down, in seconds.
_SOON = 10

_HOST_LOCK, _OPERATOR = "tests.lab.guest.host_lock", "tests.lab.guest.operator"

STEADY, COMING, OTHER = "compute1", "compute2", "compute3"


@pytest.fixture(scope="module")
def _coordinated(_the_cluster: Cluster) -> Iterator[Daemon]:
    _the_cluster.sandbox.join_network()
    server = etcd.daemon(_the_cluster.sandbox, _the_cluster.work)
    server.start()
    url = f"{etcd.URL}?lock_timeout={_LIFE}"
    with coordinated.by(_the_cluster, url, "cinder-api"):
        yield server
    server.stop()


@pytest.fixture
def server(_coordinated: Daemon, cluster: Cluster) -> Iterator[Daemon]:
    """The etcd that all of the cluster's services have their locks in."""
    yield _coordinated
    _wait_until("none is held", lambda: not etcd.locks())


@pytest.fixture
def elsewhere(server: Daemon) -> Iterator[Any]:
    """Gives locks to a process that is on no node, and has no folder of theirs."""
    coordinator = coordination.get_coordinator(etcd.URL, b"elsewhere")
    coordinator.start(start_heart=True)
    yield coordinator
    coordinator.stop()


@pytest.fixture
def pool(cluster: Cluster) -> Iterator[ThreadPoolExecutor]:
    """A thread for a request that is to wait."""
    with ThreadPoolExecutor(1, initializer=cluster.sandbox.join_network) as pool:
        yield pool


def _wait_until(what: str, holds: Callable[[], bool], timeout: float = 60) -> float:
    """Wait until something holds; say how long that took."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < timeout, f"it is not so that {what}"
        time.sleep(0.02)
    return time.monotonic() - began


def _lock(volume: Shared) -> str:
    return f"cinder-taikun_cinder-{volume.id}"


def _command(cluster: Cluster, *words: str) -> tuple[int, str, str]:
    """Run taikun-cinder; give its status, its answer and its complaints."""
    done = cluster.nodes["storage"].call(_OPERATOR, "call", *words)
    return tuple(done)


def _coordination(cluster: Cluster) -> tuple[str, str]:
    """Give what the check says of the locks."""
    _status, answer, _complaints = _command(cluster, "check", "-f", "json")
    rows = {row["Check"]: row for row in json.loads(answer)}
    return rows["coordination"]["Result"], rows["coordination"]["Found"]


def _fence(cluster: Cluster, volume: Shared, host: str) -> tuple[int, str, str]:
    return _command(cluster, "fence", volume.id, initiator(host))


def _log(cluster: Cluster) -> str:
    return cluster.work.log(VOLUME_SERVICE).read_text()


@contextlib.contextmanager
def _half_way(
    cluster: Cluster, pool: ThreadPoolExecutor, volume: Shared, host: str
) -> Iterator["Future[Any]"]:
    """Let a host in; in the block cinder-volume has the volume's lock, and waits."""
    with cluster.nodes["storage"].session() as session:
        session(_HOST_LOCK, "hold")
        attach = pool.submit(volume.let_in, host)
        _wait_until("the lock is held", lambda: _lock(volume) in etcd.locks())
        yield attach
        session(_HOST_LOCK, "let_go")


def _forget(cluster: Cluster, volume: Shared, kept: str) -> None:
    """End all attachments of a volume but one."""
    cinder = cluster.clients.volume(USER)
    for one in cinder.attachments.list(search_opts={"volume_id": volume.id}):
        if one.id != kept:
            volume.end(one.id)


def test_locks_are_in_etcd_while_they_are_held_and_none_is_left(
    cluster: Cluster, server: Daemon, pool: ThreadPoolExecutor
) -> None:
    with shared.volume(cluster) as volume:
        first, second = volume.attach(STEADY), volume.attach(COMING)
        with _half_way(cluster, pool, volume, OTHER) as attach:
            assert not attach.done()
        attachment, _information = attach.result()
        first.write(1, "shared")
        assert second.read(1) == "shared"
        volume.end(attachment)
        volume.detach(second)
        volume.detach(first)
        assert not volume.is_exported()
        _wait_until("none is left", lambda: not etcd.locks())
    assert _coordination(cluster) == ("ok", "etcd3+http answers")


def test_attach_waits_for_a_lock_that_is_held_elsewhere(
    cluster: Cluster, elsewhere: Any, pool: ThreadPoolExecutor
) -> None:
    with shared.volume(cluster) as volume:
        staying, _information = volume.let_in(STEADY)
        with elsewhere.get_lock(_lock(volume).encode()):
            attach = pool.submit(volume.let_in, COMING)
            # An operator is told, and does not wait with it.
            _status, answer, _complaints = _command(
                cluster, "volume", "show", volume.id, "-f", "json"
            )
            assert json.loads(answer)["under way"] == "an operation"
            status, _answer, complaints = _fence(cluster, volume, STEADY)
            assert status == 1
            assert "an operation on the volume has been under way" in complaints
            assert volume.initiators() == set()
            assert not attach.done()
        began = time.monotonic()
        coming, _information = attach.result()
        print(f"the attach came {time.monotonic() - began:.1f} s after the release")
        assert volume.initiators() == {initiator(COMING)}
        for attachment in (staying, coming):
            volume.end(attachment)


@pytest.mark.usefixtures("server")
def test_two_services_keep_the_laws_together_by_etcd(cluster: Cluster) -> None:
    tell(cluster)


@pytest.mark.parametrize("data", ["kept", "lost"])
def test_etcd_that_dies_is_no_matter_of_hosts(
    cluster: Cluster, server: Daemon, data: str
) -> None:
    with shared.volume(cluster) as volume:
        staying = volume.attach(STEADY)
        leaving, _information = volume.let_in(OTHER)
        with shared.writing(staying, 20) as seen:
            server.stop(timeout=0)
            for request in (
                functools.partial(volume.let_in, COMING),
                functools.partial(volume.end, leaving),
            ):
                began = time.monotonic()
                with pytest.raises(exceptions.ClientException) as refused:
                    request()
                assert time.monotonic() - began < _SOON
                print(f"{request.args}: {refused.value}")
            assert volume.initiators() == {initiator(STEADY), initiator(OTHER)}
            assert f"about volume {volume.id}, whose lock cannot be had" in _log(
                cluster
            )
            result, found = _coordination(cluster)
            assert (result, "etcd3+http" in found) == ("failed", True)
            time.sleep(2 * _LIFE)  # all that was promised to live has run out

            if data == "lost":
                shutil.rmtree(cluster.work.path / "etcd")
            server.start()
            _forget(cluster, volume, staying.attachment)
            assert volume.initiators() == {initiator(STEADY)}
            began = time.monotonic()
            coming, _information = volume.let_in(COMING)
            print(f"an attach took {time.monotonic() - began:.1f} s when it was back")
            volume.end(coming)
        assert seen["errors"] == []
        assert seen["longest"] < REPLACEMENT_TIMEOUT
        volume.detach(staying)


def test_lock_that_was_held_when_etcd_died_is_released_when_it_is_back(
    cluster: Cluster, server: Daemon, elsewhere: Any, pool: ThreadPoolExecutor
) -> None:
    with shared.volume(cluster) as volume:
        staying = volume.attach(STEADY)
        with _half_way(cluster, pool, volume, COMING) as attach:
            server.stop(timeout=0)
        try:
            print(f"the attach was answered: {attach.result()[0]}")
        except exceptions.ClientException as error:
            print(f"the attach failed: {error}")
        assert "could not be released (ToozConnectionError)" in _log(cluster)
        server.start()
        took = _wait_until(
            "the lock is released", lambda: _lock(volume) not in etcd.locks()
        )
        print(f"the lock was released {took:.1f} s after etcd's return")
        assert took < _LIFE
        # cinder-api has one of its own, which is left by tooz until it ends.
        for name in etcd.locks():
            print(f"left, and broken by hand: {name}")
            elsewhere.get_lock(name.encode()).break_()
        _forget(cluster, volume, staying.attachment)
        other, _information = volume.let_in(OTHER)
        assert volume.initiators() == {initiator(STEADY), initiator(OTHER)}
        volume.end(other)
        volume.detach(staying)


@contextlib.contextmanager
def _standing_still(cluster: Cluster) -> Iterator[None]:
    """Let cinder-volume stand still in the block, and nothing of root's."""
    storage = cluster.nodes["storage"]
    with storage.session() as session:

        def send(signal: str) -> None:
            kill = f"pkill -{signal} -u {cluster.user} -f bin/cinder-volume"
            session("lab.guest.command", "run", kill, 30)

        send("STOP")
        try:
            yield
        finally:
            send("CONT")


def test_lock_that_runs_out_while_cinder_volume_stands_still_harms_nobody(
    cluster: Cluster, elsewhere: Any, pool: ThreadPoolExecutor
) -> None:
    with shared.volume(cluster) as volume:
        staying = volume.attach(STEADY)
        fenced, _information = volume.let_in(OTHER)
        with shared.writing(staying, 20) as seen:
            with contextlib.ExitStack() as stack:
                with _half_way(cluster, pool, volume, COMING) as attach:
                    stack.enter_context(_standing_still(cluster))
                took = _wait_until(
                    "it runs out", lambda: _lock(volume) not in etcd.locks()
                )
                print(f"the lock ran out after {took:.1f} s")
                with elsewhere.get_lock(_lock(volume).encode()):
                    pass
                status, _answer, _complaints = _fence(cluster, volume, OTHER)
                assert status == 0
                assert volume.initiators() == {initiator(STEADY)}
            coming, _information = attach.result()
            assert f"lock of volume {volume.id} ran out" in _log(cluster)
            # What it had read before is old by now, and lets nobody else in.
            assert volume.initiators() == {initiator(STEADY), initiator(COMING)}
            for attachment in (coming, fenced):
                volume.end(attachment)
            assert volume.initiators() == {initiator(STEADY)}
        assert seen["errors"] == []
        assert seen["longest"] < REPLACEMENT_TIMEOUT
        volume.detach(staying)
