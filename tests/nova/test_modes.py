# SPDX-License-Identifier: Apache-2.0
"""Servers of a type whose second server may only read."""

import pytest

from lab.nova.cluster import NovaCluster
from lab.nova.servers import Server
from lab.nova.start import servers
from tests.lab import shared


def _may_only_read(server: Server, volume: str) -> bool:
    """Say whether it sees a read-only disk, and its write is refused."""
    return server.is_read_only(volume) and server.write(volume, 30, "intruder") != ""


@pytest.mark.parametrize("on_one_host", [True, False])
def test_of_two_servers_the_first_writes_and_the_second_reads(
    cluster: NovaCluster, on_one_host: bool
) -> None:
    """On one host each has a disk of its own; on two, the target refuses one."""
    with (
        shared.volume(cluster, secondary_mode="ro") as volume,
        servers(cluster) as start,
    ):
        first = start()
        second = start(beside=first) if on_one_host else start(away_from=first)
        start.wait()
        assert (first.host == second.host) == on_one_host
        first.attach(volume.id)
        with first.writing(volume.id, 20) as writer:
            second.attach(volume.id)
            assert first.write(volume.id, 30, "from the writer") == ""
            assert _may_only_read(second, volume.id)
            assert second.read(volume.id, 30) == "from the writer"
            writer.goes_on()
        first.detach(volume.id)
        assert _may_only_read(second, volume.id)
        # Now the reader was first: who comes anew may write beside it.
        first.attach(volume.id)
        with first.writing(volume.id, 20) as writer:
            assert first.write(volume.id, 30, "from the writer again") == ""
            assert _may_only_read(second, volume.id)
            assert second.read(volume.id, 30) == "from the writer again"
            second.detach(volume.id)
            writer.goes_on()


def test_the_writer_moves_live_to_the_host_of_a_reader_and_back(
    cluster: NovaCluster,
) -> None:
    with (
        shared.volume(cluster, secondary_mode="ro") as volume,
        servers(cluster) as start,
    ):
        first = start()
        reader = start(away_from=first)
        start.wait()
        home = first.host
        first.attach(volume.id)
        reader.attach(volume.id)
        with first.writing(volume.id, 20) as writer:
            for host in (reader.host, home):
                first.moves("live")
                assert first.host == host
                writer.goes_on()
                assert first.write(volume.id, 30, f"on {host}") == ""
                assert reader.read(volume.id, 30) == f"on {host}"
                assert _may_only_read(reader, volume.id)
        assert volume.initiators() == {
            shared.initiator(home),
            shared.initiator(reader.host),
        }
