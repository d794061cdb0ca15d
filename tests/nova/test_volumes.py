# SPDX-License-Identifier: Apache-2.0
"""What Cinder does with a volume while servers write to it."""

import contextlib
import functools
from collections.abc import Iterator

import pytest

from lab import attachments
from lab.nova.cluster import NovaCluster
from lab.nova.servers import USER, Server, Writer, until
from lab.nova.start import servers
from lab.plan import STORAGE_NODE
from lab.services.cinder_conf import BACKEND, PATHS_BACKEND
from tests.lab import shared
from tests.lab.shared import Shared

#: The last block of a volume of 2 GiB.
LAST = 2 * 2**30 // 4096 - 1


@pytest.fixture(scope="module")
def _services(_the_cluster: NovaCluster) -> None:
    """A second back end, and who makes backups; both stay up from then on."""
    _the_cluster.sandbox.join_network()
    _the_cluster.start_backend(PATHS_BACKEND)
    _the_cluster.start_backup_service(STORAGE_NODE.name)


@contextlib.contextmanager
def _shared(volume: Shared, *attached: Server) -> Iterator[tuple[Writer, ...]]:
    """Attach a volume to servers, and let each write to a block of its own."""
    with contextlib.ExitStack() as stack:
        writers = []
        for block, server in enumerate(attached, 20):
            server.attach(volume.id)
            writers.append(stack.enter_context(server.writing(volume.id, block)))
        yield tuple(writers)


def _has_grown(server: Server, volume: str) -> bool:
    return server.size(volume) == 2


@pytest.mark.usefixtures("_services")
def test_copies_and_an_extension_leave_two_servers_writing(
    cluster: NovaCluster,
) -> None:
    cinder = cluster.clients.volume(USER)
    with shared.volume(cluster) as volume, servers(cluster) as start:
        first = start()
        second = start(away_from=first)
        start.wait()
        with _shared(volume, first, second) as writers:
            assert first.write(volume.id, 30, "as it was") == ""
            backup = cinder.backups.create(volume.id, force=True)
            until(
                lambda: cinder.backups.get(backup.id).status == "available",
                "the backup is made",
            )
            snapshot = cinder.volume_snapshots.create(volume.id, force=True)
            attachments.wait_for_snapshot(cinder, snapshot.id, "available")
            assert first.write(volume.id, 30, "later") == ""
            clone = cinder.volumes.create(1, snapshot_id=snapshot.id)
            attachments.wait_for_status(cinder, clone.id, "available")
            second.attach(clone.id)
            assert second.read(clone.id, 30) == "as it was"
            assert second.read(volume.id, 30) == "later"
            second.detach(clone.id)
            attachments.wait_for_status(cinder, clone.id, "available")
            cinder.volumes.delete(clone.id)
            attachments.wait_until_deleted(cinder, clone.id)
            # LVM extends no volume that has a thick snapshot.
            cinder.volume_snapshots.delete(snapshot.id)
            attachments.wait_for_snapshot(cinder, snapshot.id, None)
            cinder.backups.delete(backup.id)
            for writer in writers:
                writer.goes_on()
            cinder.volumes.extend(volume.id, 2)
            attachments.wait_for_status(cinder, volume.id, "in-use")
            for server in (first, second):
                grown = functools.partial(_has_grown, server, volume.id)
                until(grown, f"{server} sees the new size")
            assert second.write(volume.id, LAST, "in the new part") == ""
            assert first.read(volume.id, LAST) == "in the new part"
            for writer in writers:
                writer.goes_on()


def _migrate(cluster: NovaCluster, volume: Shared) -> str:
    """Ask for a volume's migration to the other back end; say how it ended."""
    admin = cluster.clients.volume("admin").volumes
    backend, _ = _seen(cluster, volume)
    other = BACKEND if backend == PATHS_BACKEND else PATHS_BACKEND
    pool = next(name for name in cluster.pools() if f"@{other}#" in name)
    admin.migrate_volume(volume.id, pool, force_host_copy=False, lock_volume=False)

    def ended() -> bool:
        return _seen(cluster, volume)[1] in {"success", "error"}

    until(ended, f"the migration of {volume.id} has ended", 600)
    attachments.wait_for_status(cluster.clients.volume(USER), volume.id, "in-use")
    where, how = _seen(cluster, volume)
    assert (where == other) == (how == "success")
    return how


def _seen(cluster: NovaCluster, volume: Shared) -> tuple[str, str]:
    """Give a volume's back end, and the state of its migration."""
    found = cluster.clients.volume("admin").volumes.get(volume.id).to_dict()
    host = str(found["os-vol-host-attr:host"])
    return (
        host.partition("@")[2].partition("#")[0],
        str(found["os-vol-mig-status-attr:migstat"]),
    )


@pytest.mark.usefixtures("_services")
def test_a_volume_moves_to_another_back_end_while_its_server_writes(
    cluster: NovaCluster,
) -> None:
    """Cinder makes a volume there, and lets Nova copy and swap."""
    with shared.volume(cluster, None) as volume, servers(cluster) as start:
        server = start()
        other = start(away_from=server)
        start.wait()
        with _shared(volume, server) as (writer,):
            assert server.write(volume.id, 30, "before the move") == ""
            assert _migrate(cluster, volume) == "success"
            writer.goes_on()
            assert server.read(volume.id, 30) == "before the move"
            other.attach(volume.id)
            assert other.read(volume.id, 30) == "before the move"
            assert other.write(volume.id, 31, "from the other server") == ""
            assert server.read(volume.id, 31) == "from the other server"
            writer.goes_on()


@pytest.mark.usefixtures("_services")
def test_a_volume_of_two_servers_moves_nowhere_and_both_write_on(
    cluster: NovaCluster,
) -> None:
    """Nova swaps no volume that several servers may write to."""
    with shared.volume(cluster, None) as volume, servers(cluster) as start:
        first = start()
        second = start(away_from=first)
        start.wait()
        with _shared(volume, first, second) as writers:
            assert _migrate(cluster, volume) == "error"
            assert first.write(volume.id, 30, "afterwards") == ""
            assert second.read(volume.id, 30) == "afterwards"
            for writer in writers:
                writer.goes_on()
