# SPDX-License-Identifier: Apache-2.0
"""A host is lost with a server that shares a volume."""

from lab.nova.cluster import NovaCluster
from lab.nova.servers import USER, until
from lab.nova.start import servers
from tests.lab import shared


def test_a_server_of_a_lost_host_goes_on_elsewhere_and_the_host_comes_back(
    cluster: NovaCluster,
) -> None:
    with shared.volume(cluster) as volume, servers(cluster) as start:
        lost = start()
        standby = start(away_from=lost)
        start.wait()
        home = lost.host
        for server in (lost, standby):
            server.attach(volume.id)
        lost.writing(volume.id, 21).__enter__()  # it has no end
        with standby.writing(volume.id, 20) as writer:
            cluster.nodes[home].kernel.cut_power()
            cluster.give_up(home)
            cluster.cloud("admin").compute.evacuate_server(lost.id)
            until(
                lambda: volume.initiators() == {shared.initiator(standby.host)},
                "the lost host is let in no more",
            )
            writer.goes_on()
            until(lambda: lost.host == standby.host, f"{lost} is evacuated")
            # Nova leaves it stopped from microversion 2.95 on.
            lost.wait_for("SHUTOFF")
            cluster.cloud(USER).compute.start_server(lost.id)
            lost.wait_until_up()
            assert lost.read(volume.id, 21).startswith("write ")
            assert lost.write(volume.id, 30, "after the evacuation") == ""
            assert standby.read(volume.id, 30) == "after the evacuation"
            writer.goes_on()
            cluster.boot_again(home)
            back = start(away_from=standby)
            start.wait()
            assert back.host == home
            back.attach(volume.id)
            assert back.read(volume.id, 30) == "after the evacuation"
            assert back.write(volume.id, 31, "from the host that is back") == ""
            assert standby.read(volume.id, 31) == "from the host that is back"
            writer.goes_on()
