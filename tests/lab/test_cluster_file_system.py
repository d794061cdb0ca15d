# SPDX-License-Identifier: Apache-2.0
"""A cluster file system on one volume, which is what multi-attach is for (all laws)."""

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from lab.attachments import Attached
from lab.cluster import Cluster
from lab.kernel.choice import chosen
from lab.kernel.image import Image, installed
from tests.lab import shared
from tests.lab.shared import Shared

_FILES = 20
_NODES = ("compute1", "compute2")
#: In seconds: until a dead node is taken for dead, and its journal is replayed.
_PATIENCE = 300


def _ocfs2(host: Attached, function: str, *arguments: Any) -> Any:
    with host.node.session(timeout=_PATIENCE) as session:
        return session("tests.lab.guest.ocfs2", function, *arguments)


def _join(volume: Shared, name: str) -> Attached:
    host = volume.attach(name)
    _ocfs2(host, "join", [volume.cluster.nodes[node].plan for node in _NODES])
    return host


def _files(host: Attached, function: str, *arguments: Any) -> Any:
    with host.node.session(timeout=_PATIENCE) as session:
        return session("tests.lab.guest.shared_files", function, *arguments)


def _names(*writers: str) -> set[str]:
    return {f"{writer}-{index}" for writer in writers for index in range(_FILES)}


@contextlib.contextmanager
def _kernel_for_ocfs2(cluster: Cluster) -> Iterator[Image]:
    """Let the hosts run a kernel that OCFS2 does not break; give that kernel."""
    nodes = [cluster.nodes[name] for name in _NODES]
    if not any(
        node.call("tests.lab.guest.ocfs2", "breaks_this_kernel") for node in nodes
    ):
        yield chosen()
        return
    try:
        for node in nodes:
            node.boot_anew(installed())
        yield installed()
    finally:
        for node in nodes:
            node.boot_anew()


@pytest.mark.thorough  # three minutes
def test_ocfs2_on_both_hosts_goes_on_when_one_of_them_dies(cluster: Cluster) -> None:
    with _kernel_for_ocfs2(cluster) as image, shared.volume(cluster) as volume:
        hosts = [_join(volume, name) for name in _NODES]
        _ocfs2(hosts[0], "make", hosts[0].path)
        for host in hosts:
            _files(host, "mount", "ocfs2", host.path)

        # Both write into one folder at the same time, and see the same.
        def write(host: Attached) -> None:
            cluster.sandbox.join_network()
            _files(host, "write", "shared", host.node.name, _FILES)

        with ThreadPoolExecutor() as pool:
            list(pool.map(write, hosts))
        seen = [_files(host, "digests", "shared") for host in hosts]
        assert seen[0] == seen[1]
        assert seen[0].keys() == _names(*_NODES)

        lost, left = hosts
        lost.node.kernel.cut_power()
        volume.end(lost.attachment)
        assert volume.initiators() == {left.node.plan.initiator}
        # This waits until the file system takes the other node for dead.
        _files(left, "write", "shared", "after", _FILES)
        now = _files(left, "digests", "shared")
        assert now.keys() == _names(*_NODES, "after")
        assert now.items() >= seen[0].items()

        lost.node.boot_anew(image)
        back = _join(volume, lost.node.name)
        _files(back, "mount", "ocfs2", back.path)
        assert _files(back, "digests", "shared") == now
        _files(back, "write", "shared", "back", _FILES)
        assert _files(left, "digests", "shared").keys() >= _names("back")
        for host in (back, left):
            _files(host, "unmount")
            volume.detach(host)
