# SPDX-License-Identifier: Apache-2.0
"""Several portals: IPv6 and IPv4, a port of their own, multipath, one that fails."""

import contextlib
import time
from collections.abc import Iterator, Sequence

import pytest

from lab.attachments import Attached
from lab.cluster import Cluster
from lab.guest.iscsi import REPLACEMENT_TIMEOUT
from lab.node import Node
from lab.plan import STORAGE_IPV6, STORAGE_NODE
from lab.services.cinder_conf import PATHS_BACKEND, PATHS_PORT
from tests.lab import shared
from tests.lab.shared import writing

pytestmark = pytest.mark.in_turn(7, of="what a cluster bears")

IPV6 = f"[{STORAGE_NODE.storage_address_ipv6}]:{PATHS_PORT}"
IPV4 = f"{STORAGE_NODE.storage_address}:{PATHS_PORT}"
HOSTS = ("compute1", "compute2")


def _sessions(host: Node) -> set[str]:
    """Give the portals that a host is logged in at."""
    lines = host.run("iscsiadm -m session 2>/dev/null || true").splitlines()
    return {line.split()[2].partition(",")[0] for line in lines}


def _wait_for_paths(
    hosts: Sequence[Attached], states: Sequence[str], timeout: float = 90
) -> None:
    """Wait until the paths of each host's one multipath device are in these states."""
    deadline = time.monotonic() + timeout
    for host in hosts:
        while (
            seen := sorted(host.node.run("multipathd show paths raw format %t").split())
        ) != states:
            assert time.monotonic() < deadline, f"{host.node.name} has {seen}"
            time.sleep(0.5)


@contextlib.contextmanager
def _without_ipv6(cluster: Cluster) -> Iterator[None]:
    """Take the storage node's IPv6 address away, as when a network fails."""
    storage = cluster.nodes["storage"]
    address = STORAGE_IPV6.format(STORAGE_NODE.number)
    storage.run(f"ip address del {address} dev eth1")
    try:
        yield
    finally:
        storage.run(f"ip address add {address} dev eth1 nodad")


@contextlib.contextmanager
def _unreachable_from(host: Node) -> Iterator[None]:
    """Let a host have no way to the storage node's IPv6 address, and see it soon."""
    route = f"unreachable {STORAGE_NODE.storage_address_ipv6}"
    host.run(f"ip -6 route add {route}")
    # Else iscsid would try for a minute.
    conf = "/etc/iscsi/iscsid.conf"
    host.run(f"sed -i.usual 's/\\(initial_login_retry_max =\\).*/\\1 0/' {conf}")
    try:
        yield
    finally:
        host.run(f"mv {conf}.usual {conf}")
        host.run(f"ip -6 route del {route}")


@pytest.mark.usefixtures("paths_service")
def test_hosts_write_on_while_one_of_their_paths_is_cut(cluster: Cluster) -> None:
    with shared.volume(cluster, PATHS_BACKEND) as volume:
        first, second = (volume.attach(host, multipath=True) for host in HOSTS)
        both = (first, second)
        for host in both:
            assert host.information["target_portal"] == IPV6
            assert host.information["target_portals"] == [IPV6, IPV4]
            assert host.device["multipath_id"]
            assert _sessions(host.node) == {IPV6, IPV4}
        first.write(1, "over two paths")
        assert second.read(1) == "over two paths"

        with writing(first, 2) as first_seen, writing(second, 3) as second_seen:
            with _without_ipv6(cluster):
                _wait_for_paths(both, ["active", "failed"])
                first.write(4, "over one path")
                assert second.read(4) == "over one path"
            _wait_for_paths(both, ["active", "active"])
        for seen in (first_seen, second_seen):
            assert seen["errors"] == []
            assert seen["writes"]

        with writing(first, 2) as seen:
            volume.detach(second)
        assert seen["errors"] == []
        assert seen["longest"] < REPLACEMENT_TIMEOUT
        assert volume.initiators() == {first.node.plan.initiator}
        volume.detach(first)
        for host in both:
            assert _sessions(host.node) == set()
            assert host.node.run("multipath -l") == ""
        assert not volume.is_exported()


@pytest.mark.usefixtures("paths_service")
def test_a_host_without_multipath_takes_the_first_portal_that_answers(
    cluster: Cluster,
) -> None:
    with shared.volume(cluster, PATHS_BACKEND) as volume:
        usual = volume.attach("compute1")
        assert _sessions(usual.node) == {IPV6}
        with _unreachable_from(cluster.nodes["compute2"]):
            detour = volume.attach("compute2")
        assert _sessions(detour.node) == {IPV4}
        detour.write(1, "over IPv4")
        assert usual.read(1) == "over IPv4"
        for host in (usual, detour):
            volume.detach(host)
            assert _sessions(host.node) == set()
        assert not volume.is_exported()
