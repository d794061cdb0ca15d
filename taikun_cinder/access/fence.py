# SPDX-License-Identifier: Apache-2.0
"""Hosts that an operator has cut off from a volume, whatever Cinder says.

A fence is about what its host had when it was made: attachments, and connections that
no attachment shows. They give the host nothing any more, until they are gone. An
attachment that is made after it does. Cinder may be down when the fence is made, so
which attachments these are is found out when its rows are read next. Until then nothing
of the host's counts.

What a fence is about is written down before anything else is done by it, and the record
of the volume later, or never, if that fails or the process is killed. So nobody may
conclude from a settled fence that the record does not say the contrary still.
"""

import dataclasses
import math
from collections.abc import Collection, Iterable, Mapping

from taikun_cinder.access.attachment import Attachment, Connection
from taikun_cinder.access.ledger import Ledger
from taikun_cinder.access.model import Initiator

#: When an attachment is ended that no reconcile may believe again.
_FOR_EVER = math.inf


def unfenced(ledger: Ledger) -> Ledger:
    """Give a ledger without what fences ended: those that are set end it again."""
    ended = {key: since for key, since in ledger.ended.items() if since != _FOR_EVER}
    return dataclasses.replace(ledger, ended=ended)


def _ended(ledger: Ledger) -> frozenset[str]:
    """Give the ids of the attachments that fences have ended.

    What a fence is about may not have been written down, and the rows be missing when
    it is looked for again.
    """
    ended = ledger.ended.items()
    return frozenset(id_ for (id_, _), since in ended if since == _FOR_EVER)


@dataclasses.dataclass(frozen=True)
class Fence:
    """The fence of one host, for one volume.

    Attributes:
        initiator: the host's.
        attachments: the ids of those that give it nothing any more.
        connections: the identities of those that give it nothing any more.
        settled: whether that is all. It is not as long as nobody has read Cinder's
            rows.
    """

    initiator: Initiator
    attachments: frozenset[str] = frozenset()
    connections: frozenset[str] = frozenset()
    settled: bool = False

    def renewed(self) -> "Fence":
        """Give the fence for what the host has now, too."""
        return dataclasses.replace(self, settled=False)

    def settle(self, attachments: Iterable[Attachment], ledger: Ledger) -> "Fence":
        """Give the fence with what it is about, by the rows as they are now."""
        if self.settled:
            return self
        attachments = tuple(attachments)
        own = {one.id for one in attachments if one.initiator == self.initiator}
        own |= ledger.attachments.get(self.initiator, frozenset())
        own |= _ended(ledger) - {one.id for one in attachments if one.initiator}
        connections = self._of(ledger)
        shown = {one.identity for one in attachments}
        # One that was answered gets its row's connector later. If it has, the other
        # rows that it may have been for are others'.
        waiting = [
            one for one in connections if not (one.rows and one.identity in shown)
        ]
        for connection in waiting:
            own |= connection.rows
        if any(one.server in (None, one.identity) for one in waiting):
            # Perhaps of Cinder's old API, whose rows have no connector ever.
            own |= {one.id for one in attachments if one.is_nameless}
        identities = {one.identity for one in connections}
        return Fence(
            self.initiator,
            self.attachments | own,
            self.connections | identities,
            settled=True,
        )

    def applied(self, attachments: Iterable[Attachment], ledger: Ledger) -> Ledger:
        """Give the ledger without what the host had when it was fenced."""
        attachments = tuple(attachments)
        fence = self.settle(attachments, ledger)
        ended: Mapping[tuple[str, str | None], float] = {
            one.key: _FOR_EVER
            for one in attachments
            if one.initiator == self.initiator and one.id in fence.attachments
        }
        left = tuple(
            one for one in ledger.connections if one.identity not in fence.connections
        )
        return dataclasses.replace(
            ledger, connections=left, ended={**ledger.ended, **ended}
        )

    def keeps_out(self, ledger: Ledger) -> bool:
        """Say whether its host has had nothing since.

        Args:
            ledger: as it was recorded last, perhaps before the fence.
        """
        had = ledger.attachments.get(self.initiator, frozenset())
        since = {one.identity for one in self._of(ledger)} - self.connections
        return not self.settled or (had <= self.attachments and not since)

    def is_over(
        self, present: Collection[str], deleted: Collection[str], ledger: Ledger
    ) -> bool:
        """Say whether nothing is left that it is about.

        An attachment that is only missing may be in the next copy of the database.

        Args:
            present: the ids of the attachments that there are.
            deleted: those that Cinder has deleted.
            ledger: as it was recorded last.
        """
        there = {one.identity for one in self._of(ledger)}
        return (
            self.settled
            and self.attachments.isdisjoint(present)
            and self.attachments <= {*deleted}
            and self.connections.isdisjoint(there)
        )

    def refuses(self, connection: Connection) -> bool:
        """Say whether a new connection is for an attachment that gives nothing.

        As long as nobody can tell, it is. So Cinder's old API, whose requests name no
        attachment, lets the host in when the fence is over.
        """
        if connection.grant.initiator != self.initiator:
            return False
        return not self.settled or connection.rows <= self.attachments

    def _of(self, ledger: Ledger) -> list[Connection]:
        own = self.initiator
        return [one for one in ledger.connections if one.grant.initiator == own]
