# SPDX-License-Identifier: Apache-2.0
"""Servers that move: live migration, shelve and unshelve, evacuation."""

from collections.abc import Iterator

from tests.simulate.attaching import Attaching
from tests.simulate.decisions import Op
from tests.simulate.model import Use
from tests.simulate.uses import Uses
from tests.simulate.world import World


class Moves:
    """The operations.

    Args:
        world: where they are done.
        uses: of its volumes.
        attaching: attaches and detaches.
    """

    def __init__(self, world: World, uses: Uses, attaching: Attaching) -> None:
        self._world, self._uses, self._attaching = world, uses, attaching

    def possible(self) -> Iterator[Op]:
        """Give what could be done now."""
        for server in self._world.servers:
            own = self._uses.of_server(server)
            states = {one.state for one in own if not one.is_old}
            if "granted" in states:
                yield "shelve", {"server": server}
            for host in self._world.hosts.values():
                names = {"server": server, "host": host.name}
                if "reserved" in states:
                    yield "unshelve", names
                if "granted" in states and host is not self._uses.host_of(server):
                    down = self._uses.host_of(server).is_down
                    yield ("evacuate" if down else "migrate"), names

    def migrate(self, server: str, host: str) -> None:
        """Move a server as Nova's live migration does: on both hosts for a while."""
        new_host = self._world.hosts[host]
        moved = False
        for old in self._granted(server):
            name, mode = self._uses.name(old), "rw" if old.writes else "ro"
            with self._uses.working(old):
                new = self._attaching.reserve(name, server, new_host, mode)
                if new is None:
                    continue
                with self._uses.working(new):
                    done = self._attaching.connect(new)
                    moved = moved or done
                    self._attaching.end(old if done else new)
        if moved:
            self._uses.move(server, new_host)

    def shelve(self, server: str) -> None:
        """Take a server from its host; its attachments are reserved for it."""
        for old in self._granted(server):
            name, mode = self._uses.name(old), "rw" if old.writes else "ro"
            with self._uses.working(old):
                new = self._attaching.reserve(name, server, old.host, mode)
                with self._uses.working(*filter(None, [new])):
                    self._attaching.end(old)

    def unshelve(self, server: str, host: str) -> None:
        """Put a server on a host again."""
        for use in self._uses.of_server(server):
            if use.state == "reserved" and not self._uses.is_busy(use):
                with self._uses.working(use):
                    use.host = self._world.hosts[host]
                    if not self._attaching.connect(use):
                        self._attaching.end(use)
        self._uses.move(server, self._world.hosts[host])

    def evacuate(self, server: str, host: str) -> None:
        """Put a server on another host, while its own is down."""
        if not self._uses.host_of(server).is_down:
            return
        new_host = self._world.hosts[host]
        for old in self._granted(server):
            name, mode = self._uses.name(old), "rw" if old.writes else "ro"
            with self._uses.working(old):
                new = self._attaching.reserve(name, server, new_host, mode)
                # Nova does one thing with a server at a time.
                with self._uses.working(*filter(None, [new])):
                    self._attaching.end(old)
                    if new is not None and not self._attaching.connect(new):
                        self._attaching.end(new)
        self._uses.move(server, new_host)

    def _granted(self, server: str) -> Iterator[Use]:
        for use in self._uses.of_server(server):
            if use.state == "granted" and not (use.is_old or self._uses.is_busy(use)):
                yield use
