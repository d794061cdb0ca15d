# SPDX-License-Identifier: Apache-2.0
"""Who still needs a volume's export: asked and told under the volume's lock.

The ledgers live in this process's memory. That is enough, because one process serves
a back end (Cinder runs LVM active/passive only), and because a restart only forgets
what Cinder's attachments were about to show: it errs on the side of keeping access.
"""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator

from cinder import coordination
from oslo_log import log as logging

from taikun_cinder import attachments
from taikun_cinder.access.ledger import Ledger
from taikun_cinder.access.model import Attachment, Initiator

LOG = logging.getLogger(__name__)

_LOCK = "taikun_cinder-{}"

#: How long Cinder's API may take to delete the attachment of a connection that is
#: over, in seconds. It does so as soon as the driver has answered, so this is only
#: waited out after a failure of the API or its messaging.
PATIENCE = 10.0
_PAUSE = 0.1


@dataclasses.dataclass(frozen=True)
class End:
    """What the end of a connection means.

    Attributes:
        revoked: the initiators that have no connection left.
        shared: whether others need the export still.
    """

    revoked: tuple[Initiator, ...]
    shared: bool


class Exports:
    """The exports of one back end, and who needs them."""

    def __init__(
        self,
        rows: Callable[[str], Iterable[Attachment]] = attachments.of_volume,
        patience: float | None = None,
    ) -> None:
        self._rows = rows
        self._patience = PATIENCE if patience is None else patience
        self._ledgers: dict[str, Ledger] = {}

    @contextlib.contextmanager
    def opening(self, volume_id: str, initiator: Initiator) -> Iterator[None]:
        """Make an export inside, which is then kept for this initiator."""
        with self._locked(volume_id) as ledger:
            yield
            self._keep(volume_id, ledger.put(initiator, ledger.of(initiator).opened()))

    @contextlib.contextmanager
    def granting(self, volume_id: str, initiator: Initiator) -> Iterator[None]:
        """Give this initiator a connection inside."""
        with self._locked(volume_id) as ledger:
            before = ledger.of(initiator)
            # Stands if what is done inside fails.
            self._keep(volume_id, ledger.put(initiator, before.refused()))
            yield
            self._keep(volume_id, ledger.put(initiator, before.grant()))

    @contextlib.contextmanager
    def ending(self, volume_id: str, initiator: Initiator) -> Iterator[End]:
        """Revoke inside what ends with one connection of this initiator."""
        with self._locked(volume_id) as ledger:
            after = self._without_doubt(volume_id, ledger, initiator).end(initiator)
            revoked = () if initiator in after.holders else (initiator,)
            yield End(revoked, shared=bool(after.holders))
            self._keep(volume_id, after)

    @contextlib.contextmanager
    def ending_all(self, volume_id: str) -> Iterator[End]:
        """Revoke inside what ends with all connections of the volume."""
        with self._locked(volume_id) as before:
            after = before.end_all()
            LOG.warning(
                "All connections of volume %s are ended at once, since the detach came "
                "without a connector: %s",
                volume_id,
                "; ".join(before.holders.values()) or "there are none",
            )
            yield End(before.initiators, shared=bool(after.holders))
            self._keep(volume_id, after)

    @contextlib.contextmanager
    def removing(self, volume_id: str, *, deleted: bool) -> Iterator[tuple[str, ...]]:
        """Remove the export inside if nobody is given who needs it.

        Args:
            volume_id: whose export.
            deleted: the volume itself goes. Then no connection counts that Cinder did
                not write down, or one that it failed to write would keep it for ever.
        """
        with self._locked(volume_id) as known:
            ledger = known.forget_unshown() if deleted else known
            self._keep(volume_id, ledger)
            yield tuple(ledger.holders.values())

    @contextlib.contextmanager
    def _locked(self, volume_id: str) -> Iterator[Ledger]:
        with coordination.COORDINATOR.get_lock(_LOCK.format(volume_id)):
            yield self._read(volume_id, self._ledgers.get(volume_id, Ledger()))

    def _read(self, volume_id: str, ledger: Ledger) -> Ledger:
        return ledger.follow(self._rows(volume_id))

    def _keep(self, volume_id: str, ledger: Ledger) -> None:
        self._ledgers.pop(volume_id, None)
        if ledger.unshown:
            self._ledgers[volume_id] = ledger

    def _without_doubt(
        self, volume_id: str, ledger: Ledger, initiator: Initiator
    ) -> Ledger:
        """Wait until the attachments tell two detaches from one that was repeated."""
        deadline = time.monotonic() + self._patience
        while ledger.of(initiator).doubtful and time.monotonic() < deadline:
            time.sleep(_PAUSE)
            ledger = self._read(volume_id, ledger)
        if not ledger.of(initiator).doubtful:
            return ledger
        LOG.warning(
            "An attachment of volume %s to %s was detached, and Cinder did not delete "
            "it. It counts as attached until it is detached again.",
            volume_id,
            initiator,
        )
        return ledger.put(initiator, ledger.of(initiator).believe_rows())


def forget_lock(volume_id: str) -> None:
    """Delete what the lock of a volume that is gone leaves on disk."""
    coordination.synchronized_remove(_LOCK.format(volume_id))
