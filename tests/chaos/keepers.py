# SPDX-License-Identifier: Apache-2.0
"""Whoever looks after a volume while hosts share it: copies, growth, another type."""

import functools
import threading
from collections.abc import Callable, Sequence
from typing import Any

from cinderclient import exceptions

from lab.demo import USER
from tests.chaos.book import Book
from tests.chaos.cluster import ChaosCluster
from tests.chaos.copies import Copies
from tests.chaos.people import Person, await_retype, failure

#: Between two deeds, in seconds.
_PAUSE = (5, 20)

#: How long one tries again what Cinder refuses, in seconds.
_REFUSED = 20

#: How long Cinder may take to give it another type, in seconds.
_PATIENCE = 60

#: How large the volume may grow, in GiB.
_LARGEST = 3

#: How often the others are done for one backup, which takes minutes.
_OFTEN = 3

#: How long a status stays that somebody is at, at most, in seconds.
_LEFT = 60

#: What a volume is while nobody is at it.
_AT_REST = ("available", "in-use")


class Keeper(Person):
    """An operator, and a user, of one volume.

    Args:
        cluster, book, volume, blocks, seed: see ``Person``.
        types: the names of the two types that it may have.
        deeds: what is done to it, see ``DEEDS``.
    """

    def __init__(
        self,
        cluster: ChaosCluster,
        book: Book,
        volume: str,
        blocks: int,
        seed: str,
        types: Sequence[str],
        deeds: Sequence[str],
    ) -> None:
        super().__init__(cluster, book, volume, blocks, seed)
        self._types = types
        self._deeds = [name for name in deeds if name in DEEDS]
        self._often = [1 if name == "backup" else _OFTEN for name in self._deeds]
        self._copies = Copies(cluster, book, volume, blocks)
        #: A status that somebody may have left, and since when it is so.
        self._strange: tuple[str, float] = "", 0.0

    def _live(self, stop: threading.Event) -> None:
        """Look after it until the event is set."""
        while not stop.wait(self._chance.uniform(*_PAUSE)):
            failure(self._give_back)
            if not self._deeds:
                continue
            (name,) = self._chance.choices(self._deeds, self._often)
            error = failure(functools.partial(self._noted, name))
            self._count("in vain" if error else name)

    @property
    def _lane(self) -> str:
        return f"keeper, volume {self._volume[:8]}"

    def _noted(self, name: str) -> None:
        with self._book.during(self._lane, name):
            deadline = self._book.now() + _REFUSED
            while True:
                try:
                    DEEDS[name](self)
                except exceptions.BadRequest:
                    # A host is just coming or going.
                    if self._book.now() > deadline:
                        raise
                    threading.Event().wait(0.5)
                else:
                    return

    def _cinder(self) -> Any:
        return self._cluster.clients.volume(USER)

    def _give_back(self, left: float = _LEFT) -> None:
        """Put a status right that a killed service, or an earlier database, left.

        Args:
            left: how long it has been so at least, in seconds.
        """
        cinder = self._cinder()
        status = cinder.volumes.get(self._volume).status
        if status != self._strange[0]:
            self._strange = status, self._book.now()
        if status in _AT_REST or self._book.now() < self._strange[1] + left:
            return  # somebody may be at it
        found = cinder.attachments.list(search_opts={"volume_id": self._volume})
        right = "in-use" if found else "available"
        with self._book.during(self._lane, f"{status} is made {right}"):
            admin = self._cluster.clients.volume("admin")
            admin.volumes.reset_state(self._volume, right)

    def tidy(self) -> None:
        """Delete the copies that there are; see ``Copies.tidy``."""
        self._copies.tidy()
        failure(functools.partial(self._give_back, 0))

    def _copy(self, make: Callable[[Copies], None]) -> None:
        """Make a copy that is looked at, and delete it."""
        make(self._copies)
        self._copies.tidy()

    def _extend(self) -> None:
        """Let it grow under its hosts."""
        size = self._cinder().volumes.get(self._volume).size
        if size < _LARGEST:
            self._cinder().volumes.extend(self._volume, size + 1)

    def _retype(self) -> None:
        """Give it its other type, by which as many hosts may attach it."""
        volumes = self._cinder().volumes
        has = volumes.get(self._volume).volume_type
        (other,) = (name for name in self._types if name != has)
        volumes.retype(self._volume, other, "never")
        await_retype(volumes, self._volume, other, _PATIENCE)


#: What is done to a volume that hosts share. Names and order decide what a seed does.
DEEDS: dict[str, Callable[[Keeper], None]] = {
    "snapshot": lambda one: one._copy(Copies.snapshot),
    "extend": Keeper._extend,
    "retype": Keeper._retype,
    "clone": lambda one: one._copy(Copies.clone),
    "backup": lambda one: one._copy(Copies.backup),
}
