# SPDX-License-Identifier: Apache-2.0
"""What goes wrong by Nova's own doing, whatever the driver does (doc/source/nova.rst).

A test that is marked says what ought to hold, and is expected to fail. When it passes,
Nova has been mended: take its mark and its paragraph in the document away. What has to
hold before, and what an operator does about it, raises LabError where it does not.
"""

import contextlib
import time
from collections.abc import Iterator

import pytest

from lab import attachments
from lab.errors import LabError
from lab.nova.cluster import NovaCluster
from lab.nova.servers import USER, Server, until
from lab.nova.start import servers
from tests.lab import shared

_VIRSH = "virsh --connect qemu:///system"


def _domain(server: Server) -> str:
    """Give what libvirt calls a server."""
    return str(server.seen_by("admin").instance_name)


def _occupy(server: Server, name: str) -> None:
    """Give a server a disk behind Nova's back, so that its next attach must fail."""
    domain = _domain(server)
    file = f"/run/{domain}.img"
    server.node.run(
        f"truncate --size=1M {file} && "
        f"{_VIRSH} attach-disk {domain} {file} {name} --targetbus virtio --live"
    )


def _is_logged_in(server: Server, volume: str) -> bool:
    """Say whether the host of a server is logged in to a volume's target."""
    return volume in server.node.run("iscsiadm -m session || true")


def _must_be_logged_in(server: Server, volume: str) -> None:
    """See that a story begins as it should; an assertion would be expected to fail."""
    what = f"the host of {server} is logged in to {volume}"
    until(lambda: _is_logged_in(server, volume), what, 60)


def _hard_reboot_gives_the_disk_back(server: Server, volume: str) -> None:
    """Do what an operator does about a server that has lost its disk."""
    server.cluster.cloud(USER).compute.reboot_server(server.id, "HARD")
    server.wait_until_up()
    with server.writing(volume, 20) as writer:
        writer.goes_on()


@pytest.mark.xfail(
    strict=True,
    raises=AssertionError,
    reason="Nova counts the attachments that are 'attached', so after a failed attach "
    "it takes the one neighbour for the failed server, and logs the host out",
)
def test_a_failed_attach_leaves_a_server_on_the_same_host_its_disk(
    cluster: NovaCluster,
) -> None:
    with shared.volume(cluster) as volume, servers(cluster) as start:
        neighbour = start()
        failing = start(beside=neighbour)
        start.wait()
        neighbour.attach(volume.id)
        _must_be_logged_in(neighbour, volume.id)
        _occupy(failing, "vdb")
        with pytest.raises(LabError, match="gave the attach"):
            failing.attach(volume.id)
        still = _is_logged_in(neighbour, volume.id)
        _hard_reboot_gives_the_disk_back(neighbour, volume.id)
    assert still


def _stays_logged_in(server: Server, volume: str, seconds: float = 60) -> bool:
    """Say whether the host of a server is logged in for as long as Nova may take."""
    deadline = time.monotonic() + seconds
    while logged_in := _is_logged_in(server, volume):
        if time.monotonic() > deadline:
            break
        time.sleep(1)
    return logged_in


def _call_off_a_live_migration(server: Server) -> None:
    """Let Nova begin to move a server, and roll that back while memory is copied."""
    server.node.run(f"{_VIRSH} migrate-setspeed {_domain(server)} 1")  # MiB/s
    compute = server.cluster.cloud("admin").compute
    compute.live_migrate_server(server.id, block_migration="auto")

    def running() -> list[object]:
        moves = compute.server_migrations(server.id)
        return [move for move in moves if move.status == "running"]

    (move,) = until(running, f"{server} moves")
    compute.abort_server_migration(move, server.id)
    server.wait_for("ACTIVE")


@pytest.mark.xfail(
    strict=True,
    raises=AssertionError,
    reason="Nova counts the servers of the host that the server has not left, and logs "
    "out the one that it did not come to",
)
def test_a_live_migration_that_is_rolled_back_leaves_the_servers_there_their_disk(
    cluster: NovaCluster,
) -> None:
    with shared.volume(cluster) as volume, servers(cluster) as start:
        moving = start()
        neighbour = start(away_from=moving)
        start.wait()
        for server in (neighbour, moving):
            server.attach(volume.id)
        _must_be_logged_in(neighbour, volume.id)
        home = moving.host
        with moving.writing(volume.id, 21) as writer:
            _call_off_a_live_migration(moving)
            until(lambda: moving.host == home, f"{moving} is where it was")
            writer.goes_on()
            still = _stays_logged_in(neighbour, volume.id)
            _hard_reboot_gives_the_disk_back(neighbour, volume.id)
            writer.goes_on()
    assert still


def _hold(server: Server, what: str) -> None:
    """Let the process of a server stand still, or go on."""
    server.node.run(f"pkill -{what} -f 'guest={_domain(server)}[,]'")


@contextlib.contextmanager
def _attaching(server: Server, volume: str) -> Iterator[None]:
    """Attach a volume, and let the host be connected when the block begins.

    The server stands still meanwhile, and takes the disk only behind the block.
    """
    log = server.cluster.work.log(f"nova-{server.host}")
    disk = f"<serial>{volume}</serial>"
    before = log.read_text().count(disk)
    _hold(server, "STOP")
    try:
        server.ask_to_attach(volume)
        until(
            lambda: log.read_text().count(disk) > before,
            f"the host of {server} is connected to {volume}",
        )
        yield
    finally:
        _hold(server, "CONT")


@pytest.mark.xfail(
    strict=True,
    raises=AssertionError,
    reason="Nova deletes a server without a look at the attach of another one, which "
    "is not 'attached' yet, and logs the host out",
)
def test_an_attach_beside_the_deletion_of_a_server_succeeds(
    cluster: NovaCluster,
) -> None:
    with shared.volume(cluster) as volume, servers(cluster) as start:
        leaving = start()
        joining = start(beside=leaving)
        start.wait()
        leaving.attach(volume.id)
        with _attaching(joining, volume.id):
            leaving.delete()
        until(
            lambda: (
                (row := joining.attachment(volume.id)) is None
                or row.status == "attached"
            ),
            f"the attach of {volume.id} to {joining} has ended",
        )
        has_it = joining.attachment(volume.id) is not None
        if not has_it:
            joining.attach(volume.id)  # what an operator does about it
            with joining.writing(volume.id, 20) as writer:
                writer.goes_on()
    assert has_it


def _is_accepted(server: Server, volume: str) -> bool:
    """Ask Nova to attach a volume; say whether it does, within a minute."""
    try:
        server.ask_to_attach(volume)
    except LabError:
        return False
    return True


@pytest.mark.xfail(
    strict=True,
    raises=AssertionError,
    reason="a paused server lets no disk go; until Nova gives that up, Cinder takes "
    "the whole volume for 'detaching', and refuses every attach",
)
def test_a_volume_that_a_paused_server_keeps_is_attached_to_another_server(
    cluster: NovaCluster,
) -> None:
    with shared.volume(cluster) as volume, servers(cluster) as start:
        leaving = start()
        joining = start(away_from=leaving)
        start.wait()
        leaving.attach(volume.id)
        compute = cluster.cloud(USER).compute
        compute.pause_server(leaving.id)
        leaving.wait_for("PAUSED")
        compute.delete_volume_attachment(leaving.id, volume.id)
        cinder = cluster.clients.volume(USER)
        attachments.wait_for_status(cinder, volume.id, "detaching")
        accepted = _is_accepted(joining, volume.id)
        # What an operator does about it: then the server lets the disk go.
        compute.unpause_server(leaving.id)
        until(
            lambda: leaving.attachment(volume.id) is None,
            f"{leaving} has let {volume.id} go",
        )
        if not accepted:
            joining.attach(volume.id)
        with joining.writing(volume.id, 20) as writer:
            writer.goes_on()
    assert accepted
