# SPDX-License-Identifier: Apache-2.0
"""Which server uses which volume, and who is at work on that."""

import contextlib
from collections.abc import Iterator

from tests.simulate.locks import Lock
from tests.simulate.model import Host, Use
from tests.simulate.world import World


class Uses:
    """The uses of a run's volumes.

    Args:
        world: that they are of.
        places: by server, the host that it is on.
    """

    def __init__(self, world: World, places: dict[str, str]) -> None:
        self._world, self._places = world, places
        self._busy: set[Use] = set()

    def host_of(self, server: str) -> Host:
        """Give the host that a server is on."""
        return self._world.hosts[self._places[server]]

    def move(self, server: str, host: Host) -> None:
        """Let a server be on another host."""
        self._places[server] = host.name

    def of(self, volume: str, server: str) -> Use | None:
        """Give a server's present use of a volume, by their names; None for none."""
        id_ = self._world.volumes.get(volume)
        for use in reversed(self._world.expected.uses):
            if use.volume == id_ and use.server == server and use.is_there:
                return use
        return None

    def of_server(self, server: str) -> list[Use]:
        """Give the present uses of a server that nobody is at work on."""
        return [one for one in self.idle() if one.server == server]

    def idle(self) -> list[Use]:
        """Give the present uses that nobody is at work on."""
        there = (one for one in self._world.expected.uses if one.is_there)
        return [one for one in there if one not in self._busy]

    def is_busy(self, use: Use) -> bool:
        """Say whether somebody is at work on a use."""
        return use in self._busy

    def name(self, use: Use) -> str:
        """Give the name of a use's volume."""
        names = {id_: name for name, id_ in self._world.volumes.items()}
        return names[use.volume]

    @contextlib.contextmanager
    def working(self, *uses: Use) -> Iterator[None]:
        """Keep other operations from some uses meanwhile."""
        self._busy.update(uses)
        try:
            yield
        finally:
            self._busy.difference_update(uses)

    def keep(self, use: Use) -> None:
        """Keep other operations from a use until it is given back."""
        self._busy.add(use)

    def give_back(self, use: Use) -> None:
        """Let others work on it again."""
        self._busy.discard(use)

    def host_lock(self, host: Host) -> Lock:
        """Give os-brick's lock of a host, which all its volumes share."""
        return host.locks.setdefault("", Lock(self._world.scheduler))
