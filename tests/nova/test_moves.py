# SPDX-License-Identifier: Apache-2.0
"""Servers that share a volume move between hosts; the other ones notice nothing."""

from lab.nova.cluster import NovaCluster
from lab.nova.servers import USER
from lab.nova.start import servers
from tests.lab import shared


def test_a_cold_migration_and_its_revert_leave_the_other_server_writing(
    cluster: NovaCluster,
) -> None:
    with shared.volume(cluster) as volume, servers(cluster) as start:
        moving = start()
        other = start(away_from=moving)
        start.wait()
        home = moving.host
        for server in (moving, other):
            server.attach(volume.id)
        compute = cluster.cloud(USER).compute
        with other.writing(volume.id, 20) as writer:
            for end, host in (("revert", home), ("confirm", other.host)):
                moving.moves("cold")
                writer.goes_on()
                getattr(compute, f"{end}_server_resize")(moving.id)
                moving.wait_until_up()
                assert moving.host == host
                assert moving.write(volume.id, 30, f"after the {end}") == ""
                assert other.read(volume.id, 30) == f"after the {end}"
                writer.goes_on()
        assert volume.initiators() == {shared.initiator(other.host)}


def test_one_of_two_servers_of_a_host_moves_away_live(cluster: NovaCluster) -> None:
    with shared.volume(cluster) as volume, servers(cluster) as start:
        moving = start()
        staying = start(beside=moving)
        start.wait()
        for server in (moving, staying):
            server.attach(volume.id)
        with (
            moving.writing(volume.id, 20) as moves_on,
            staying.writing(volume.id, 21) as stays_on,
        ):
            moving.moves("live")
            assert moving.host != staying.host
            moves_on.goes_on()
            stays_on.goes_on()
        assert moving.write(volume.id, 30, "from the other host") == ""
        assert staying.read(volume.id, 30) == "from the other host"
        staying.detach(volume.id)
        assert volume.initiators() == {shared.initiator(moving.host)}
