# SPDX-License-Identifier: Apache-2.0
"""What goes wrong by Nova's own doing, whatever the driver does (doc/source/nova.rst).

A test that is marked says what ought to hold, and is expected to fail. When it passes,
Nova has been mended: take its mark and its paragraph in the document away.
"""

import contextlib
from collections.abc import Iterator

import pytest

from lab.errors import LabError
from lab.nova.cluster import NovaCluster
from lab.nova.servers import USER, Server
from lab.nova.start import servers
from tests.lab import shared


def _occupy(server: Server, name: str) -> None:
    """Give a server a disk behind Nova's back, so that its next attach must fail."""
    domain = server.seen_by("admin").instance_name
    file = f"/run/{domain}.img"
    virsh = "virsh --connect qemu:///system"
    server.node.run(
        f"truncate --size=1M {file} && "
        f"{virsh} attach-disk {domain} {file} {name} --targetbus virtio --live"
    )


@contextlib.contextmanager
def _failed_attach(cluster: NovaCluster) -> Iterator[tuple[Server, str]]:
    """Let an attach fail beside a server that has the volume; give both of these."""
    with shared.volume(cluster) as volume, servers(cluster) as start:
        neighbour = start()
        failing = start(beside=neighbour)
        start.wait()
        neighbour.attach(volume.id)
        assert _is_logged_in(neighbour, volume.id)
        _occupy(failing, "vdb")
        with pytest.raises(LabError, match="gave the attach"):
            failing.attach(volume.id)
        yield neighbour, volume.id


def _is_logged_in(server: Server, volume: str) -> bool:
    """Say whether the host of a server is logged in to a volume's target."""
    return volume in server.node.run("iscsiadm -m session || true")


@pytest.mark.xfail(
    strict=True,
    raises=AssertionError,
    reason="Nova counts the attachments that are 'attached', so after a failed attach "
    "it takes the one neighbour for the failed server, and logs the host out",
)
def test_a_failed_attach_leaves_a_server_on_the_same_host_its_disk(
    cluster: NovaCluster,
) -> None:
    with _failed_attach(cluster) as (neighbour, volume):
        still = _is_logged_in(neighbour, volume)
    assert still


def test_a_hard_reboot_gives_the_server_its_disk_back(cluster: NovaCluster) -> None:
    """What an operator does about it."""
    with _failed_attach(cluster) as (neighbour, volume):
        cluster.cloud(USER).compute.reboot_server(neighbour.id, "HARD")
        neighbour.wait_until_up()
        with neighbour.writing(volume, 20) as writer:
            writer.goes_on()
