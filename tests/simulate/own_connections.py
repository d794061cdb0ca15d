# SPDX-License-Identifier: Apache-2.0
"""Connections of Cinder's own, which have no attachment."""

import contextlib
from collections.abc import Iterator

from tests.simulate.api import FAILURES
from tests.simulate.attaching import Attaching
from tests.simulate.decisions import Op
from tests.simulate.model import Use
from tests.simulate.old_api import OldApi
from tests.simulate.uses import Uses
from tests.simulate.world import World


class OwnConnections:
    """The operations.

    Args:
        world: where they are done.
        uses: of its volumes.
        attaching: logs hosts in.

    Attributes:
        cleaned: volumes and hosts that a clean-up may still come for.
        copied: volumes and hosts that a migration copies them by.
    """

    def __init__(self, world: World, uses: Uses, attaching: Attaching) -> None:
        self._world, self._uses, self._attaching = world, uses, attaching
        self._api = OldApi(world)
        self.cleaned: set[tuple[str, str]] = set()
        self.copied: set[tuple[str, str]] = set()

    def possible(self) -> Iterator[Op]:
        """Give what could be done now."""
        for volume, id_ in self._world.volumes.items():
            if self._world.database.volumes[id_]["status"] == "available":
                for host in self._world.hosts:
                    yield "backup", {"volume": volume, "host": host}
            for host in self._world.hosts:
                if not self._is_connected(id_, host):
                    yield "clean_up", {"volume": volume, "host": host}

    def backup(self, volume: str, host: str) -> None:
        """Connect a volume to a host of Cinder's own, without an attachment."""
        id_ = self._world.volumes.get(volume)
        row = self._world.database.volumes.get(id_ or "")
        if id_ is None or row is None or row["status"] != "available":
            return
        if self._world.hosts[host].is_down or (id_, host) in self.cleaned:
            return
        reserved = self._world.database.attachments_of(id_)
        uses = (one for one in self._world.expected.uses if one.volume == id_)
        if reserved or any(one.is_there for one in uses):
            return  # as Cinder's API would see, but for a race of its own
        row["status"] = "backing-up"
        use = Use(id_, "cinder", self._world.hosts[host], "", writes=True, wish="rw")
        self._world.expected.uses.append(use)
        with self._uses.working(use):
            boots = self._world.kernel.boots
            try:
                information = self._api.connect(use, own=True)
                self._attaching.log_in(use, information, boots, "rw", completes=False)
                self._world.scheduler.sleep(5)
            except FAILURES:
                use.left = self._world.scheduler.now
            self._world.expected.set(use, "ending")
            self._world.fabric.log_out(use)
            try:
                self._api.disconnect(use)
            except FAILURES:
                use.left = self._world.scheduler.now
            self._world.expected.set(use, "ended")
            self._world.expected.renew(use)
        if row["status"] == "backing-up":
            row["status"] = "available"

    def clean_up(self, volume: str, host: str) -> None:
        """End a connection of Cinder's own that is not there.

        Cinder does so after it could not make one (BaseVD._attach_volume), and when the
        message that ends one is delivered twice.
        """
        id_ = self._world.volumes.get(volume)
        if id_ is None or self._is_connected(id_, host):
            return
        use = Use(id_, "cinder", self._world.hosts[host], "", writes=True, wish="rw")
        self.cleaned.add((id_, host))
        with contextlib.suppress(*FAILURES):
            self._api.disconnect(use)
            self.cleaned.discard((id_, host))

    def _is_connected(self, id_: str, host: str) -> bool:
        """Say whether Cinder itself may have a volume on a host."""
        return (id_, host) in self.copied or any(
            use.volume == id_
            and use.server == "cinder"
            and use.host.name == host
            and use.state != "ended"
            for use in self._world.expected.uses
        )
