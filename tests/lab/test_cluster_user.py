# SPDX-License-Identifier: Apache-2.0
"""Law 7 in the cluster: cinder-volume is a plain user, and root only by rootwrap."""

import time
from typing import Any

import pytest

from lab.attachments import wait_for_status
from lab.cluster import Cluster
from lab.demo import USER
from lab.errors import CommandError
from tests.lab import shared
from tests.lab.guest.processes import PRIVILEGED

CAP_SYS_ADMIN = 21  # linux/capability.h


def test_cinder_volume_has_no_power_of_its_own_and_its_helper_one(
    cluster: Cluster,
) -> None:
    storage = cluster.nodes["storage"]
    cinder = int(storage.run("id -u cinder"))
    with shared.volume(cluster) as volume:
        attachment, _ = volume.let_in("compute1")
        services = storage.call(
            "tests.lab.guest.processes", "identities", "cinder-volume"
        )
        helpers = storage.call("tests.lab.guest.processes", "identities", PRIVILEGED)
        volume.end(attachment)
    assert services
    for service in services:
        assert service == {"uids": {cinder}, "capabilities": 0}
    assert helpers
    for helper in helpers:
        assert helper == {"uids": {0}, "capabilities": 1 << CAP_SYS_ADMIN}


@pytest.mark.parametrize(
    "command",
    [
        "id",
        "bash -c id",
        "cinder-rootwrap /tmp/rootwrap.conf id",
        "cinder-rootwrap /etc/cinder/rootwrap.conf id",
        "cinder-rootwrap /etc/cinder/rootwrap.conf cat /etc/shadow",
    ],
)
def test_its_user_becomes_root_for_nothing_else(cluster: Cluster, command: str) -> None:
    with pytest.raises(CommandError, match=r"password is required|no filter matched"):
        cluster.nodes["storage"].run(f"runuser -u cinder -- sudo -n {command}")


def _wait_for_snapshots(cinder: Any, states: list[str]) -> None:
    """Wait until the project has snapshots in these states and no others."""
    deadline = time.monotonic() + 90
    while (
        there := [snapshot.status for snapshot in cinder.volume_snapshots.list()]
    ) != states:
        assert time.monotonic() < deadline, f"the snapshots are {there}"
        time.sleep(0.3)


def test_it_makes_and_reverts_volumes_by_rootwrap_and_privsep(cluster: Cluster) -> None:
    """LVM's commands go by rootwrap, the merge of a snapshot by Cinder's privsep."""
    cinder = cluster.clients.volume(USER)
    with shared.volume(cluster) as volume:
        snapshot = cinder.volume_snapshots.create(volume.id)
        _wait_for_snapshots(cinder, ["available"])
        cinder.volumes.revert_to_snapshot(
            cinder.volumes.get(volume.id), cinder.volume_snapshots.get(snapshot.id)
        )
        wait_for_status(cinder, volume.id, "available")
        _wait_for_snapshots(cinder, ["available"])
        cinder.volume_snapshots.delete(snapshot.id)
        _wait_for_snapshots(cinder, [])
