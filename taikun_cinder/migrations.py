# SPDX-License-Identifier: Apache-2.0
"""Migrations of volumes that a server may come to meanwhile.

While a volume migrates that nobody has, Cinder lets it be attached, unless it was asked
to lock it. What the server writes is in no copy that began before, and Cinder deletes
the source in the end. Its API calls such a migration one that can be aborted
(``cinder migrate --lock-volume``), and nothing of Cinder aborts it. So:

- The driver's own copy begins only if nobody has the volume, and lets nobody in.
- A host's copy is given up if somebody was let in since it began.
- Nobody new is let in while Cinder gives the volume the copy (``completing``), and it
  is given none if somebody came before that.
"""

import contextlib
import threading
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from taikun_cinder.access.model import Initiator
from taikun_cinder.database import VolumeRow
from taikun_cinder.exception import MigrationGivenUp, VolumeMigrates

#: The statuses of a volume that nobody has, nor is about to have. The other two are
#: those of a volume that its migration has locked.
_IDLE = ("available", "maintenance", "retyping")

#: The migration status of a volume that is about to have the copy for its own.
_COMPLETING = "completing"


class Migrations:
    """What this process knows of migrations from its back end."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._held: set[str] = set()
        #: By ``name_id``, how many were let in since its copy began.
        self._let_in: dict[str, set[str]] = {}

    @contextlib.contextmanager
    def held(self, volume: Any) -> Iterator[None]:
        """Let nobody in to a volume during the block."""
        with self._guard:
            self._held.add(volume["name_id"])
        try:
            yield
        finally:
            with self._guard:
                self._held.discard(volume["name_id"])

    def refuse(
        self,
        volume: Any,
        row: VolumeRow | None,
        initiators: Collection[Initiator],
        let_in: Collection[Initiator],
    ) -> None:
        """Refuse those who must not be let in now.

        Args:
            volume: Cinder's.
            row: its row as it is now.
            initiators: who they are.
            let_in: who was let in before.

        Raises:
            VolumeMigrates: they must not be.
        """
        completes = row is not None and row.migration_status == _COMPLETING
        with self._guard:
            held = volume["name_id"] in self._held
        if held or (completes and set(initiators) - set(let_in)):
            raise VolumeMigrates(volume=volume["id"])

    def count(self, volume: Any, identities: Iterable[str]) -> None:
        """Take note that requests let somebody in, each perhaps not for the first time.

        Args:
            volume: Cinder's.
            identities: of their connections.
        """
        name_id = volume["name_id"]
        with self._guard:
            if name_id in self._let_in:
                self._let_in[name_id].update(identities)

    def begin_copy(self, volume: Any) -> None:
        """Count from now on who is let in to a volume."""
        with self._guard:
            self._let_in[volume["name_id"]] = set()

    def end_copy(self, volume: Any) -> int:
        """Count no more; give how many there were, Cinder itself among them."""
        with self._guard:
            return len(self._let_in.pop(volume["name_id"], ()))


def refuse_busy(volume: Any, row: VolumeRow | None, left: str = "") -> None:
    """Give a migration up if somebody has the volume, or is about to.

    Args:
        volume: Cinder's.
        row: its row as it is now.
        left: what that leaves behind, in words.

    Raises:
        MigrationGivenUp: somebody is.
    """
    if row is not None and row.status not in _IDLE:
        raise MigrationGivenUp(volume=volume["id"], cause=f"it is {row.status}{left}")
