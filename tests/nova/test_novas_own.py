# SPDX-License-Identifier: Apache-2.0
"""What goes wrong by Nova's own doing, whatever the driver does (doc/source/nova.rst).

Each of these tests says what ought to hold, and is expected to fail. When one passes,
Nova has been mended: take its mark and its paragraph in the document away.
"""

import pytest

from lab.errors import LabError
from lab.nova.cluster import NovaCluster
from tests.lab import shared
from tests.nova.servers import Server
from tests.nova.start import servers


def _occupy(server: Server, name: str) -> None:
    """Give a server a disk behind Nova's back, so that its next attach must fail."""
    domain = server.seen_by("admin").instance_name
    file = f"/run/{domain}.img"
    virsh = "virsh --connect qemu:///system"
    server.node.run(
        f"truncate --size=1M {file} && "
        f"{virsh} attach-disk {domain} {file} {name} --targetbus virtio --live"
    )


@pytest.mark.xfail(
    strict=True,
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
        _occupy(failing, "vdb")
        with neighbour.writing(volume.id, 20) as writer:
            with pytest.raises(LabError, match="gave the attach"):
                failing.attach(volume.id)
            writer.goes_on()
