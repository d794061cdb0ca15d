# SPDX-License-Identifier: Apache-2.0
"""Whoever looks after a volume while hosts share it: snapshots, and growth."""

import contextlib
import functools
import threading
from collections.abc import Callable
from typing import Any

from cinderclient import exceptions

from lab import attachments
from lab.cluster import Cluster
from lab.demo import USER
from lab.plan import VOLUME_GROUP
from tests.chaos.book import Book
from tests.chaos.guest import worker
from tests.chaos.people import Person, failure

#: Between two deeds, in seconds.
_PAUSE = (5, 20)

#: How long Cinder may take for one of them, in seconds.
_PATIENCE = 120

#: How large the volume may grow, in GiB.
_LARGEST = 3


class Keeper(Person):
    """An operator, and a user, of one volume; see ``Person``."""

    def __init__(
        self, cluster: Cluster, book: Book, volume: str, blocks: int, seed: str
    ) -> None:
        super().__init__(cluster, book, volume, blocks, seed)
        self._snapshots: list[str] = []

    def _live(self, stop: threading.Event) -> None:
        """Look after it until the event is set."""
        deeds = {"snapshot": self._snapshot, "extend": self._extend}
        while not stop.wait(self._chance.uniform(*_PAUSE)):
            name = self._chance.choice(tuple(deeds))
            error = failure(functools.partial(self._noted, name, deeds[name]))
            self._count("in vain" if error else name)

    def _noted(self, name: str, deed: Callable[[], None]) -> None:
        with self._book.during(f"keeper, volume {self._volume[:8]}", name):
            deed()

    def _cinder(self) -> Any:
        return self._cluster.clients.volume(USER)

    def _snapshot(self) -> None:
        """Take a snapshot, and see that it is the volume at one time of its making."""
        begun = self._book.now()
        made = self._cinder().volume_snapshots.create(self._volume, force=True)
        self._snapshots.append(str(made.id))
        attachments.wait_for_snapshot(
            self._cinder(), made.id, "available", timeout=_PATIENCE
        )
        ended = self._book.now()
        storage = self._cluster.nodes["storage"]
        path = f"/dev/{VOLUME_GROUP}/_snapshot-{made.id}"
        values = storage.call(worker.__name__, "read_all", path, self._blocks)
        self._book.looked(f"snapshot {made.id}", self._volume, values, begun, ended)
        self.tidy()

    def tidy(self) -> None:
        """Delete the snapshots that there are.

        Raises:
            LabError: one is still there.
        """
        while self._snapshots:
            snapshot = self._snapshots[-1]
            with contextlib.suppress(exceptions.NotFound):
                # A service that is killed leaves one in a status without a way out.
                admin = self._cluster.clients.volume("admin")
                admin.volume_snapshots.reset_state(snapshot, "available")
                admin.volume_snapshots.delete(snapshot)
            attachments.wait_for_snapshot(
                self._cinder(), snapshot, None, timeout=_PATIENCE
            )
            self._snapshots.remove(snapshot)

    def _extend(self) -> None:
        """Let it grow under its hosts."""
        size = self._cinder().volumes.get(self._volume).size
        if size < _LARGEST:
            self._cinder().volumes.extend(self._volume, size + 1)
