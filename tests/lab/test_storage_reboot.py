# SPDX-License-Identifier: Apache-2.0
"""The storage node loses its power while two hosts write: they write on (laws 1, 5)."""

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import pytest

from lab.attachments import Attached
from lab.cluster import Cluster
from tests.lab import shared

pytestmark = pytest.mark.in_turn(7, of="what a cluster bears")

#: How long a host waits for its target before its applications see an error: what
#: Debian's iscsid.conf says, instead of the lab's few seconds.
_PATIENCE = 120

#: No database answers at this address.
NO_DATABASE = """\
[database]
connection = mysql+pymysql://cinder:none@127.0.0.1:1/cinder
max_retries = 0
"""

_BLOCKS = {"compute1": 100, "compute2": 200}


@contextlib.contextmanager
def _writing(hosts: dict[str, Attached]) -> Iterator[dict[str, dict[str, Any]]]:
    seen: dict[str, dict[str, Any]] = {}
    runs = {
        name: host.node.call("lab.guest.steady", "begin", host.path, _BLOCKS[name])
        for name, host in hosts.items()
    }
    yield seen
    for name, run in runs.items():
        seen[name] = hosts[name].node.call("lab.guest.steady", "end", run)


def _identity(attached: Attached) -> dict[str, str]:
    return dict(attached.node.call("lab.guest.blocks", "identity", attached.path))


def _restore(cluster: Cluster) -> str:
    """Do what the node's boot does before cinder-volume; give what it said."""
    storage = cluster.nodes["storage"]
    storage.call("lab.guest.daemons", "prepare_cinder")
    return str(storage.call("tests.lab.guest.operator", "restore", NO_DATABASE))


def _wait_for_a_write(attached: Attached, block: int) -> None:
    before = attached.read(block)
    deadline = time.monotonic() + _PATIENCE
    while attached.read(block) == before:
        assert time.monotonic() < deadline, "the application does not write on"
        time.sleep(0.5)


def test_hosts_write_on_when_the_storage_node_comes_back(cluster: Cluster) -> None:
    with shared.volume(cluster) as volume:
        hosts = {name: volume.attach(name) for name in _BLOCKS}
        before = {name: _identity(host) for name, host in hosts.items()}
        initiators = volume.initiators()
        for host in hosts.values():
            tmo = "/sys/class/iscsi_session/session*/recovery_tmo"
            host.node.run(f"for file in {tmo}; do echo {_PATIENCE} > $file; done")
        with _writing(hosts) as seen:
            cluster.nodes["storage"].kernel.cut_power()
            cluster.boot_again("storage")
            said = _restore(cluster)
            assert f"volume {volume.id} is exported again" in said
            # Without cinder-volume, and without its database.
            assert volume.initiators() == initiators
            for name, host in hosts.items():
                _wait_for_a_write(host, _BLOCKS[name])
            cluster.start_volume_service()
            cluster.wait_for_volume_services(1)
        for name, host in hosts.items():
            assert seen[name]["errors"] == []
            assert host.read(_BLOCKS[name]) == f"write {seen[name]['writes'] - 1}"
            assert _identity(host) == before[name]
        staying, leaving = hosts.values()
        volume.detach(leaving)
        assert volume.initiators() == {shared.initiator(staying.node.name)}
        volume.detach(staying)
        assert not volume.is_exported()
