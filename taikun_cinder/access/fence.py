# SPDX-License-Identifier: Apache-2.0
"""Hosts that an operator has cut off from a volume, whatever Cinder says.

A fence is about the attachments that its host had when it was made: they give the host
nothing any more, until they are gone. An attachment that is made after it does. Cinder
may be down when the fence is made, so which attachments these are is found out when its
rows are read next. Until then nothing of the host's counts.
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


@dataclasses.dataclass(frozen=True)
class Fence:
    """The fence of one host, for one volume.

    Attributes:
        initiator: the host's.
        attachments: the ids of those that give it nothing any more; None as long as
            nobody has read Cinder's rows.
    """

    initiator: Initiator
    attachments: frozenset[str] | None = None

    def settled(self, attachments: Iterable[Attachment], ledger: Ledger) -> "Fence":
        """Give the fence with what it is about, by the rows as they are now."""
        if self.attachments is not None:
            return self
        own = {one.id for one in attachments if one.initiator == self.initiator}
        own |= ledger.attachments.get(self.initiator, frozenset())
        for connection in self._of(ledger.connections):
            # One that was answered gets its row's connector later.
            own |= connection.rows
        return dataclasses.replace(self, attachments=frozenset(own))

    def applied(self, attachments: Iterable[Attachment], ledger: Ledger) -> Ledger:
        """Give the ledger without what the host had when it was fenced."""
        known = self.settled(attachments, ledger).attachments or frozenset()
        ended: Mapping[tuple[str, str | None], float] = {
            one.key: _FOR_EVER
            for one in attachments
            if one.initiator == self.initiator and one.id in known
        }
        left = ledger.connections
        if self.attachments is None:
            gone = self._of(left)
            left = tuple(one for one in left if one not in gone)
        return dataclasses.replace(
            ledger, connections=left, ended={**ledger.ended, **ended}
        )

    def is_over(self, present: Collection[str], deleted: Collection[str]) -> bool:
        """Say whether nothing is left that it is about.

        An attachment that is only missing may be in the next copy of the database.

        Args:
            present: the ids of the attachments that there are.
            deleted: those that Cinder has deleted.
        """
        known = self.attachments
        return known is not None and known.isdisjoint(present) and known <= {*deleted}

    def refuses(self, connection: Connection) -> bool:
        """Say whether a new connection is for an attachment that gives nothing.

        As long as nobody can tell, it is. So Cinder's old API, whose requests name no
        attachment, lets the host in when the fence is over.
        """
        if connection.grant.initiator != self.initiator:
            return False
        return self.attachments is None or connection.rows <= self.attachments

    def _of(self, connections: Iterable[Connection]) -> list[Connection]:
        return [one for one in connections if one.grant.initiator == self.initiator]
