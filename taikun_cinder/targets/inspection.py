# SPDX-License-Identifier: Apache-2.0
"""What an operator wants to see of a target, and no decision goes by."""

import dataclasses
from collections.abc import Mapping

from taikun_cinder.access.model import Initiator, Portal


@dataclasses.dataclass(frozen=True)
class Reservation:
    """The reservation of a disk, by SCSI-2 or by SCSI-3's persistent reservations.

    Attributes:
        kind: in the kernel's words; empty if nobody has reserved the disk.
        holder: who has; None if nobody has.
        registered: the initiators that are registered, which only SCSI-3 knows.
    """

    kind: str = ""
    holder: Initiator | None = None
    registered: frozenset[Initiator] = frozenset()


@dataclasses.dataclass(frozen=True)
class Inspection:
    """The details of one volume's export.

    Attributes:
        portals: where the target listens.
        addresses: where each initiator that is logged in comes from. The kernel tells
            one session of each, the latest.
        reservation: of the main disk. The readers' disk takes none.
    """

    portals: frozenset[Portal] = frozenset()
    addresses: Mapping[Initiator, str] = dataclasses.field(default_factory=dict)
    reservation: Reservation = dataclasses.field(default_factory=Reservation)
