# SPDX-License-Identifier: Apache-2.0
"""Servers that share a volume: on two hosts, and on one."""

from lab.nova.cluster import NovaCluster
from lab.nova.start import servers
from tests.lab import shared


def test_two_servers_on_two_hosts_share_a_volume_and_one_leaves_alone(
    cluster: NovaCluster,
) -> None:
    with shared.volume(cluster) as volume, servers(cluster) as start:
        first = start()
        second = start(away_from=first)
        start.wait()
        assert first.host != second.host
        for server in (first, second):
            server.attach(volume.id)
        assert first.write(volume.id, 10, "from the first") == ""
        assert second.read(volume.id, 10) == "from the first"
        assert second.write(volume.id, 11, "from the second") == ""
        assert first.read(volume.id, 11) == "from the second"
        with second.writing(volume.id, 20) as writer:
            first.detach(volume.id)
            assert first.disk(volume.id) == ""
            writer.goes_on()
            assert volume.initiators() == {shared.initiator(second.host)}
            first.attach(volume.id)
            first.delete()
            writer.goes_on()
            assert volume.initiators() == {shared.initiator(second.host)}
        second.detach(volume.id)
        assert not volume.is_exported()
