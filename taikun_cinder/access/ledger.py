# SPDX-License-Identifier: Apache-2.0
"""Who is connected to one volume, while Cinder's attachments lag behind the driver.

Cinder writes the connector of an attachment after the driver has granted the
connection, and deletes the attachment after the driver has ended it, and it never
tells the driver which attachment a call is for. So attachments are counted by
initiator, and what the driver has answered is counted too until they show it.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

from taikun_cinder.access.connections import Connections
from taikun_cinder.access.model import Attachment, Initiator


@dataclasses.dataclass(frozen=True)
class Ledger:
    """All connections to one volume. Each change gives a new ledger.

    Attributes:
        attachments: of the volume, when they were last read.
        connections: by initiator. Under None are the attachments that Cinder's
            os-attach made: they say no initiator, and that they are in use.
    """

    attachments: tuple[Attachment, ...] = ()
    connections: Mapping[Initiator | None, Connections] = dataclasses.field(
        default_factory=dict
    )

    def follow(self, attachments: Iterable[Attachment]) -> "Ledger":
        """Take in the attachments as they are now."""
        attachments = tuple(attachments)
        rows: dict[Initiator | None, set[str]] = defaultdict(set)
        for attachment in attachments:
            if attachment.connected:
                rows[attachment.initiator].add(attachment.id)
        reserved = sum(not attachment.connected for attachment in attachments)
        return Ledger(
            attachments,
            {
                initiator: self.of(initiator).follow(
                    frozenset(rows[initiator]), reserved
                )
                for initiator in {*self.connections, *rows}
            },
        )

    def of(self, initiator: Initiator | None) -> Connections:
        """Give the connections of one initiator."""
        return self.connections.get(initiator, Connections())

    def put(self, initiator: Initiator | None, connections: Connections) -> "Ledger":
        """Replace the connections of one initiator."""
        changed = {**self.connections, initiator: connections}
        return dataclasses.replace(self, connections=changed)

    def end(self, initiator: Initiator) -> "Ledger":
        """One connection of this initiator is over."""
        own, legacy = self.of(initiator), self.of(None)
        ledger = self.put(initiator, own.end())
        if own.granted and not own.shown and legacy.shown:
            # It was Cinder's os-initialize_connection that asked for this one, and
            # then os-attach that wrote an attachment which does not say whose it is.
            return ledger.put(None, legacy.end())
        return ledger

    def end_all(self) -> "Ledger":
        """All connections are over."""
        return self._map(Connections.end_all)

    def forget_unshown(self) -> "Ledger":
        """What no attachment shows by now is not going to be."""
        return self._map(Connections.forget_unshown)

    @property
    def initiators(self) -> tuple[Initiator, ...]:
        """Every initiator that is known to the volume."""
        return tuple(sorted(one for one in self.connections if one is not None))

    @property
    def holders(self) -> Mapping[Initiator | None, str]:
        """Who needs the export, each with its description for people."""
        return {
            initiator: self._describe(initiator)
            for initiator, own in self.connections.items()
            if own.live or own.opening
        }

    @property
    def unshown(self) -> bool:
        """Whether the attachments alone do not tell the whole truth."""
        return any(own.unshown for own in self.connections.values())

    def _map(self, change: Callable[[Connections], Connections]) -> "Ledger":
        changed = {who: change(own) for who, own in self.connections.items()}
        return dataclasses.replace(self, connections=changed)

    def _describe(self, initiator: Initiator | None) -> str:
        rows = self.of(initiator).rows
        hosts = {one.host for one in self.attachments if one.id in rows}
        who = ", ".join(sorted(hosts)) or "a host with no attachment yet"
        return f"{who} ({initiator or 'attached without a connector'})"
