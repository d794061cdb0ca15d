# SPDX-License-Identifier: Apache-2.0
"""Glance keeps its images in volumes that several of its hosts read at once (law 1)."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from lab.attachments import wait_until_deleted
from lab.cluster import Cluster
from tests.lab import shared
from tests.lab.shared import Shared

pytestmark = pytest.mark.in_turn(7, of="what a cluster bears")

_HOSTS = ("compute1", "compute2")
_SIZE = 64 * 2**20


def test_hosts_of_glance_read_one_image_at_once(cluster: Cluster) -> None:
    password = cluster.control.passwords["glance"]

    def store(host: str, function: str, *arguments: Any) -> Any:
        cluster.sandbox.join_network()
        node = cluster.nodes[host]
        given = (password, kind, *arguments)
        return node.call("tests.lab.guest.image_store", function, *given)

    with shared.volume_type(cluster) as kind, ThreadPoolExecutor() as pool:
        volume_id, digest = store(_HOSTS[0], "add", _SIZE)
        volume = Shared(cluster, volume_id)
        assert not volume.is_exported()
        # Two downloads on the first, as their disconnect must leave each other alone.
        readers = [
            pool.submit(store, host, "read", volume_id)
            for host in (_HOSTS[0], *_HOSTS, *_HOSTS)
        ]
        assert {reader.result() for reader in readers} == {digest}
        assert not volume.is_exported()
        assert not volume.is_open()
        store(_HOSTS[1], "delete", volume_id)
        wait_until_deleted(cluster.clients.volume("glance"), volume_id)
