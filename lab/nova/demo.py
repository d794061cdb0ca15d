# SPDX-License-Identifier: Apache-2.0
"""The demo with servers: one multi-attach volume shared by two of a real Nova."""

from lab.demo import Demo
from lab.nova.cluster import NovaCluster
from lab.nova.servers import Server
from lab.nova.start import servers
from lab.progress import Terminal


class ServersDemo(Demo):
    """The story, told of servers that Nova attaches the volume to."""

    def __init__(self, cluster: NovaCluster, progress: Terminal) -> None:
        super().__init__(cluster, progress)
        self._nova = cluster

    def _use(self, volume: str) -> None:
        with servers(self._nova) as start:
            self._progress.step("booting two servers, each on a host of its own")
            first = start()
            second = start(away_from=first)
            start.wait()
            for server in (first, second):
                self._progress.step(f"attaching the volume to the one on {server.host}")
                server.attach(volume)
            self._show("both servers have it", volume)
            self._share_servers(first, second, volume)
            self._leave(second, first, volume)
            self._show("one server is detached", volume)
            # The second one is to be on another host than the first for ever.
            self._move(first, volume)
            self._show("the other one has moved", volume)
            self._progress.step("detaching it, and deleting both servers")
            first.detach(volume)

    def _share_servers(self, first: Server, second: Server, volume: str) -> None:
        self._progress.step("writing in each server, and reading in the other")
        for block, (writer, reader) in enumerate(((first, second), (second, first))):
            text = f"written on {writer.host}"
            said = writer.write(volume, block, text)
            found = reader.read(volume, block)
            self._holds(
                found == text,
                f"the server on {reader.host} reads what that on {writer.host} wrote",
                said or f"it read {found!r} instead of {text!r}",
            )

    def _leave(self, leaving: Server, staying: Server, volume: str) -> None:
        self._progress.step(f"detaching that on {leaving.host} while the other writes")
        with staying.writing(volume, 20) as writer:
            leaving.detach(volume)
            writer.goes_on()
        self._holds(
            leaving.disk(volume) == "",
            f"it has the disk no more, and the one on {staying.host} wrote on without "
            f"an error ({writer.writes} writes, the longest {writer.longest} ms)",
            f"it is {leaving.disk(volume)} there",
        )

    def _move(self, server: Server, volume: str) -> None:
        before = server.host
        self._progress.step(f"moving the other one live from {before} while it writes")
        with server.writing(volume, 20) as writer:
            server.moves("live")
            writer.goes_on()
        self._holds(
            server.host != before,
            f"it is on {server.host} and wrote on without an error ({writer.writes} "
            f"writes, the longest {writer.longest} ms)",
            f"it is on {server.host}",
        )
