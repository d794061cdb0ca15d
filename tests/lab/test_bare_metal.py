# SPDX-License-Identifier: Apache-2.0
"""Ironic's nodes share a volume by the calls that Ironic makes (laws 1, 2).

It makes them in ironic/common/cinder.py (7bc6aba7 of 2026-08-20): those of the API
that was before the attachments, with a connector that says little.
"""

import uuid
from typing import Any

import pytest
from cinderclient.exceptions import ClientException

from lab.attachments import Attached, wait_for_status
from lab.cluster import Cluster
from lab.demo import USER
from tests.lab import shared
from tests.lab.shared import Shared, initiator

pytestmark = pytest.mark.in_turn(7, of="what a cluster bears")


class _BareMetal:
    """A node of Ironic's that has the volume."""

    def __init__(self, volume: Shared, name: str) -> None:
        self._volume = volume
        self._instance = str(uuid.uuid4())
        # ironic/drivers/modules/storage/cinder.py, _generate_connector
        self._connector = {"initiator": initiator(name), "host": str(uuid.uuid4())}
        self._api.reserve(volume.id)
        told = self._api.initialize_connection(volume.id, self._connector)
        # The attachments' API has both in one.
        kind = {"driver_volume_type": told["driver_volume_type"]}
        information = {**told["data"], **kind}
        self._api.attach(volume.id, self._instance, "ironic_mountpoint")
        node = volume.cluster.nodes[name]
        device = node.call("lab.guest.host", "connect", information)
        self.host = Attached(node, self._instance, "", information, device)

    @property
    def _api(self) -> Any:
        return self._volume.cluster.clients.volume(USER, "nova").volumes

    def power_off(self) -> None:
        """End its connection, as Ironic does whenever it powers the node off."""
        host = self.host
        host.node.call("lab.guest.host", "disconnect", host.information, host.device)
        (attachment,) = (
            row["attachment_id"]
            for row in self._api.get(self._volume.id).attachments
            if row["server_id"] == self._instance
        )
        self._api.begin_detaching(self._volume.id)
        self._api.terminate_connection(self._volume.id, self._connector)
        self._api.detach(self._volume.id, attachment)


def test_a_second_node_is_refused_where_only_one_may_write(cluster: Cluster) -> None:
    with shared.volume(cluster, secondary_mode="deny") as volume:
        first = _BareMetal(volume, "compute1")
        # That API keeps the driver's words to itself, and to the log.
        with pytest.raises(ClientException, match="connection information"):
            _BareMetal(volume, "compute2")
        assert volume.initiators() == {initiator("compute1")}
        # Ironic leaves the reservation behind when it fails.
        cluster.clients.volume(USER).volumes.unreserve(volume.id)
        first.power_off()
        assert not volume.is_exported()


def test_bare_metal_nodes_share_a_volume_and_leave_one_by_one(
    cluster: Cluster,
) -> None:
    with shared.volume(cluster) as volume:
        first, second = (_BareMetal(volume, name) for name in ("compute1", "compute2"))
        first.host.write(1, "from bare metal")
        assert second.host.read(1) == "from bare metal"
        with shared.writing(first.host, 100) as seen:
            second.power_off()
            assert volume.initiators() == {initiator("compute1")}
        assert seen["errors"] == []
        again = _BareMetal(volume, "compute2")
        assert again.host.read(1) == "from bare metal"
        for node in (first, again):
            node.power_off()
        wait_for_status(cluster.clients.volume(USER), volume.id, "available")
        assert not volume.is_exported()
        assert not volume.is_open()
