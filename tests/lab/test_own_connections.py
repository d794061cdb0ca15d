# SPDX-License-Identifier: Apache-2.0
"""Cinder's own connections, which no attachment shows: backup, restore, migration."""

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cinderclient import exceptions

from lab import attachments
from lab.attachments import Attached
from lab.cluster import BACKUP_SERVICE, Cluster
from lab.demo import USER
from lab.node import Node
from lab.plan import SECOND_GROUP, STORAGE_NODE, VOLUME_GROUP
from lab.services.cinder_conf import (
    BACKEND,
    PATHS_BACKEND,
    PATHS_INTERVAL,
    PATHS_PATIENCE,
)
from tests.lab import shared
from tests.lab.shared import Shared, writing

pytestmark = [pytest.mark.share, pytest.mark.in_turn(2, of="file")]

GROUPS = {BACKEND: VOLUME_GROUP, PATHS_BACKEND: SECOND_GROUP}

#: The node that makes the backups, over iSCSI as from any node. It has the volumes too,
#: so no gigabyte has to cross from one kernel to another.
BACKUP_NODE = STORAGE_NODE.name

#: Longer than a reconcile needs to sweep what nobody uses.
SWEPT = PATHS_PATIENCE + 3 * PATHS_INTERVAL

#: Every request here copies a gigabyte, on a processor that several kernels share.
LONG = 400


@pytest.fixture(scope="module")
def _backup_service(_the_cluster: Cluster, paths_service: None) -> Iterator[None]:
    cluster = _the_cluster
    cluster.start_backup_service(BACKUP_NODE)
    yield
    cluster.sandbox.join_network()
    cluster.nodes[BACKUP_NODE].call("lab.guest.daemons", "end", BACKUP_SERVICE)


def _wait_for(get: Callable[[], Any], wanted: Any, timeout: float = LONG) -> None:
    deadline = time.monotonic() + timeout
    while (found := get()) != wanted:
        assert time.monotonic() < deadline, f"{found} and not {wanted}"
        time.sleep(0.5)


def _backup(cluster: Cluster, volume: Shared) -> str:
    """Ask for a backup; give its id."""
    made = cluster.clients.volume(USER).backups.create(volume.id, force=True)
    return str(made.id)


def _await_backup(cluster: Cluster, backup: str, status: str) -> None:
    cinder = cluster.clients.volume(USER)
    _wait_for(lambda: cinder.backups.get(backup).status, status)


def _delete_backup(cluster: Cluster, backup: str) -> None:
    cinder = cluster.clients.volume(USER)
    cinder.backups.delete(backup)
    _wait_for(
        lambda: [listed for listed in cinder.backups.list() if listed.id == backup], []
    )


def _sessions(node: Node) -> int:
    lines = node.run("iscsiadm -m session 2>/dev/null || true").splitlines()
    return len(lines)


def _signal_backup(cluster: Cluster, name: str) -> None:
    node = cluster.nodes[BACKUP_NODE]
    node.run(f"kill -{name} $(cat /run/daemon-{BACKUP_SERVICE}.pid)")


def _where(cluster: Cluster, volume: str) -> tuple[str, str]:
    """Give the name of a volume's back end, and how its last migration ended."""
    found = cluster.clients.volume("admin").volumes.get(volume).to_dict()
    host, state = (
        found["os-vol-host-attr:host"],
        found["os-vol-mig-status-attr:migstat"],
    )
    return host.partition("@")[2].partition("#")[0], state


def _device(cluster: Cluster, volume: str) -> str:
    """Give the path of a volume's logical volume."""
    backend, _ = _where(cluster, volume)
    return f"/dev/{GROUPS[backend]}/volume-{volume}"


def _digest(cluster: Cluster, volume: str) -> str:
    return cluster.nodes["storage"].run(f"sha256sum < {_device(cluster, volume)}")


@pytest.mark.thorough  # four minutes
@pytest.mark.usefixtures("_backup_service")
def test_backups_outlive_many_reconciles_beside_the_hosts_of_the_volume(
    cluster: Cluster,
) -> None:
    with shared.volume(cluster, PATHS_BACKEND) as volume:
        hosts = [volume.attach("compute1"), volume.attach("compute2")]
        node = cluster.nodes[BACKUP_NODE]
        others = _sessions(node)
        backup = _backup(cluster, volume)
        _wait_for(lambda: _sessions(node), others + 1)
        with writing(hosts[1], 20) as seen:
            _signal_backup(cluster, "STOP")
            time.sleep(SWEPT)
            _signal_backup(cluster, "CONT")
            _await_backup(cluster, backup, "available")
        assert seen["errors"] == []
        assert _sessions(node) == others
        for host in hosts:
            volume.detach(host)
        assert not volume.is_exported()
        _delete_backup(cluster, backup)


@pytest.mark.thorough  # two minutes
@pytest.mark.usefixtures("_backup_service")
def test_what_a_killed_backup_leaves_is_swept_when_its_session_is_gone(
    cluster: Cluster,
) -> None:
    with shared.volume(cluster, PATHS_BACKEND) as volume:
        backup = _backup(cluster, volume)
        node = cluster.nodes[BACKUP_NODE]
        _wait_for(lambda: _sessions(node), 1)
        node.call("lab.guest.daemons", "end", BACKUP_SERVICE, signal.SIGKILL)
        time.sleep(SWEPT)
        assert volume.initiators() == {node.plan.initiator}
        node.run("iscsiadm -m node --logoutall=all")
        _wait_for(volume.is_exported, False, SWEPT + 60)
        # It finds the backup that was cut off, and gives the volume back.
        cluster.start_backup_service(BACKUP_NODE)
        _await_backup(cluster, backup, "error")
        _delete_backup(cluster, backup)


def _await_move(cluster: Cluster, volume: str, backend: str) -> None:
    _wait_for(lambda: _where(cluster, volume), (backend, "success"))
    attachments.wait_for_status(cluster.clients.volume("admin"), volume, "available")


def _identity(attached: Attached) -> tuple[str, str]:
    seen = attached.node.call("lab.guest.blocks", "identity", attached.path)
    return seen["serial"], seen["wwn"]


def _migrate(cluster: Cluster, volume: str, *, by_host: bool) -> tuple[str, str]:
    """Begin to move a volume; give the back ends that it leaves, and that it goes to.

    Args:
        cluster: where.
        volume: its id.
        by_host: whether Cinder copies, for which it connects the old and the new
            volume, and not the driver.
    """
    here, _ = _where(cluster, volume)
    there = BACKEND if here == PATHS_BACKEND else PATHS_BACKEND
    pool = next(name for name in cluster.pools() if f"@{there}#" in name)
    admin = cluster.clients.volume("admin").volumes
    admin.migrate_volume(volume, pool, by_host, False)
    return here, there


@contextlib.contextmanager
def _migrating(
    cluster: Cluster, volume: str, *, by_host: bool
) -> Iterator[tuple[str, str]]:
    """Do the same, and let the copy stand still during the block."""
    backends = _migrate(cluster, volume, by_host=by_host)
    storage = cluster.nodes[STORAGE_NODE.name]
    _wait_for(lambda: bool(storage.run("pgrep -x dd || true")), True, 90)
    storage.run("pkill -STOP -x dd")
    try:
        yield backends
    finally:
        storage.run("pkill -CONT -x dd")


@pytest.mark.thorough  # a minute
@pytest.mark.usefixtures("paths_service")
def test_what_a_host_writes_while_another_copies_its_volume_is_kept(
    cluster: Cluster,
) -> None:
    with shared.volume(cluster, None) as volume:
        with _migrating(cluster, volume.id, by_host=True) as (before, _):
            host = volume.attach("compute1")
            host.write(7, "written meanwhile")
            volume.detach(host)
        _wait_for(lambda: _where(cluster, volume.id), (before, "error"))
        _make_available(cluster, volume.id)
        host = volume.attach("compute2")
        assert host.read(7) == "written meanwhile"
        volume.detach(host)
        assert not volume.is_exported()


@pytest.mark.thorough  # a minute
@pytest.mark.usefixtures("paths_service")
def test_nobody_comes_to_a_volume_while_the_driver_copies_it(cluster: Cluster) -> None:
    with shared.volume(cluster, None) as volume:
        with _migrating(cluster, volume.id, by_host=False) as (_, after):
            with pytest.raises(exceptions.ClientException, match="being migrated"):
                volume.attach("compute1")
            (refused,) = _attachments(cluster, volume.id)
            volume.end(refused)
            assert not volume.is_exported()
        _wait_for(lambda: _where(cluster, volume.id), (after, "success"))
        _make_available(cluster, volume.id)
        host = volume.attach("compute1")
        host.write(7, "written in time")
        volume.detach(host)


def _make_available(cluster: Cluster, volume: str) -> None:
    """Reset a volume's status, as an operator does.

    An attachment that is deleted while the volume migrates leaves the status as it was
    (volume_detached in cinder.db).
    """
    assert not _attachments(cluster, volume)
    admin = cluster.clients.volume("admin")
    admin.volumes.reset_state(volume, "available", "detached")
    attachments.wait_for_status(admin, volume, "available")


def _attachments(cluster: Cluster, volume: str) -> list[str]:
    cinder = cluster.clients.volume(USER)
    found = cinder.attachments.list(search_opts={"volume_id": volume})
    return [str(one.id) for one in found]


@pytest.mark.usefixtures("paths_service")
def test_a_migrated_volume_is_the_same_disk_with_the_same_contents(
    cluster: Cluster,
) -> None:
    with shared.volume(cluster, None) as volume:
        host = volume.attach("compute1")
        host.write(7, "before the migration")
        before = _identity(host)
        volume.detach(host)
        digest = _digest(cluster, volume.id)

        _, after = _migrate(cluster, volume.id, by_host=True)
        _await_move(cluster, volume.id, after)
        assert not volume.is_exported()

        assert _digest(cluster, volume.id) == digest
        host = volume.attach("compute2")
        assert _identity(host) == before
        assert host.read(7) == "before the migration"
        volume.detach(host)
