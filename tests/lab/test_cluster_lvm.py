# SPDX-License-Identifier: Apache-2.0
"""LVM and GFS2 that two hosts share by corosync and DLM (all laws)."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from lab.attachments import Attached
from lab.cluster import Cluster
from lab.node import Node
from tests.lab import shared
from tests.lab.guest.dlm import device
from tests.lab.shared import Shared

_NODES = ("compute1", "compute2")
_FILES = 20
#: In seconds: until corosync has found a node dead, and GFS2 has replayed its journal.
_PATIENCE = 300


def _call(node: Node, module: str, function: str, *arguments: Any) -> Any:
    with node.session(timeout=_PATIENCE) as session:
        return session(f"tests.lab.guest.{module}", function, *arguments)


def _dlm(host: Attached, function: str, *arguments: Any) -> Any:
    return _call(host.node, "dlm", function, *arguments)


def _files(host: Attached, function: str, *arguments: Any) -> Any:
    return _call(host.node, "shared_files", function, *arguments)


@pytest.fixture
def nodes(cluster: Cluster) -> Iterator[list[Node]]:
    """The hosts, without the daemons of a cluster before and behind the test."""
    found = [cluster.nodes[name] for name in _NODES]
    if missing := _call(found[0], "dlm", "missing"):
        pytest.skip(f"no {', '.join(missing)}: tools/with-packages")
    yield found
    for node in found:
        node.boot_anew()


def _join(volume: Shared, name: str) -> Attached:
    host = volume.attach(name)
    _dlm(host, "join", [volume.cluster.nodes[node].plan for node in _NODES])
    return host


def _names(*writers: str) -> set[str]:
    return {f"{writer}-{index}" for writer in writers for index in range(_FILES)}


@pytest.mark.thorough  # four minutes, and packages that no other test needs
def test_lvm_and_gfs2_on_both_hosts_go_on_when_one_is_fenced(
    cluster: Cluster, nodes: list[Node]
) -> None:
    def in_network(host: Attached, function: str, *arguments: Any) -> Any:
        cluster.sandbox.join_network()
        return _files(host, function, *arguments)

    with shared.volume(cluster) as volume, ThreadPoolExecutor() as pool:
        # The daemons of one wait for nobody; those of the other find it.
        hosts = [_join(volume, node.name) for node in nodes]
        first, second = hosts
        assert [_dlm(host, "members") for host in hosts] == [2, 2]

        # One group on both: a logical volume is one host's, or all hosts'.
        _dlm(first, "make_group", first.path)
        for host in hosts:
            _dlm(host, "use_group")
        _dlm(first, "make_volume", "files", "256M")
        assert "locked by other host" in _dlm(second, "activate", "files", "ey")
        assert _dlm(first, "activate", "files", "n") == ""
        assert _dlm(second, "activate", "files", "ey") == ""
        assert _dlm(second, "activate", "files", "n") == ""

        for host in hosts:
            assert _dlm(host, "activate", "files", "sy") == ""
        _dlm(first, "make_gfs2", "files", len(hosts))
        for host in hosts:
            _files(host, "mount", "gfs2", device("files"))
        writes = [
            pool.submit(in_network, host, "write", "both", host.node.name, _FILES)
            for host in hosts
        ]
        for write in writes:
            write.result()
        seen = [_files(host, "digests", "both") for host in hosts]
        assert seen[0] == seen[1]
        assert seen[0].keys() == _names(*_NODES)

        # Until the lost host is fenced off, nobody writes.
        lost, left = hosts
        lost.node.kernel.cut_power()
        after: Future[None] = pool.submit(
            in_network, left, "write", "both", "after", _FILES
        )
        with pytest.raises(TimeoutError):
            after.result(timeout=40)
        volume.end(lost.attachment)
        assert volume.initiators() == {left.node.plan.initiator}
        _dlm(left, "tell_fenced")
        after.result()
        now = _files(left, "digests", "both")
        assert now.keys() == _names(*_NODES, "after")
        assert now.items() >= seen[0].items()

        lost.node.boot_anew()
        back = _join(volume, lost.node.name)
        _dlm(back, "use_group")
        assert _dlm(back, "activate", "files", "sy") == ""
        _files(back, "mount", "gfs2", device("files"))
        assert _files(back, "digests", "both") == now
        for host in (back, left):
            _files(host, "unmount")
            _dlm(host, "leave_group")
            volume.detach(host)
