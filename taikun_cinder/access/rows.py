# SPDX-License-Identifier: Apache-2.0
"""What the connections to a volume are known from: Cinder's rows, and the answers."""

import dataclasses
import secrets
from collections.abc import Collection, Iterable

from taikun_cinder.access.model import Credentials, Grant, Initiator, Mode


@dataclasses.dataclass(frozen=True)
class Row:
    """One of Cinder's attachments of one volume.

    Attributes:
        id: of the attachment.
        host: the name that people know the host by.
        initiator: None if it does not say (reserved, or made by the old API).
        connected: whether a host may be using the volume by it. One that is only
            reserved is not.
        identity: of its connector, None if it has none.
        mode: what the host may do.
        server: the server that it is for; None if it does not say.
        credentials: from its connection_info; None as long as that has none for this
            initiator. When an attachment gets another connector, the old
            connection_info stays until the new one is written. So ours names the
            initiator that it is for, and one that names none is only believed beside
            a connector without a mark.
    """

    id: str
    host: str
    initiator: Initiator | None
    connected: bool
    identity: str | None = None
    mode: Mode = Mode.RW
    credentials: Credentials | None = None
    server: str | None = None

    @property
    def user(self) -> str:
        """Who uses the volume by it: the server, or else the attachment itself."""
        return self.server or f"attachment {self.id}"

    @property
    def key(self) -> tuple[str, str | None]:
        """What is another one when the attachment gets another connector."""
        return self.id, self.identity


@dataclasses.dataclass(frozen=True)
class Flight:
    """A connection that was granted, and that no row shows with its credentials.

    Attributes:
        identity: of its connector.
        grant: what was granted.
        since: when, by any clock that only goes forward, in seconds.
        shown: whether there is a row that has the identity, without credentials yet.
        user: ``Row.user`` of its row, as far as that can be told before the row has the
            connector; None if Cinder itself is connected.
        undecided: whether only its row will say what the host may do. Until then it
            may only read.
    """

    identity: str
    grant: Grant
    since: float
    shown: bool = False
    user: str | None = None
    undecided: bool = False

    @property
    def writes(self) -> bool:
        """Whether the host may write by it, or perhaps will."""
        return self.undecided or self.grant.mode is Mode.RW


def read_only_without_a_name(
    rows: Iterable[Row], flights: Iterable[Flight]
) -> Collection[Flight]:
    """Give the flights that rows without an initiator say may only read.

    Cinder's os-attach tells the mode after the connection was made, and not whose it
    is. So it can be told only if it is the same for all, and there is a row for each.
    """
    rows = tuple(rows)
    users = {row.user for row in rows}
    nameless = [row for row in rows if row.connected and row.initiator is None]
    loose = [one for one in flights if not one.shown and one.user not in users]
    who = {one.grant.initiator for one in loose}
    told = len(nameless) >= len(who) and all(row.mode is Mode.RO for row in nameless)
    return loose if nameless and told else ()


def new_credentials() -> Credentials:
    """Make a random pair: 80 bits of name, 128 of password.

    Neither begins with a digit. LIO takes a name that begins with ``0x`` or ``0b`` for
    an encoded number, as RFC 7143 allows for other values, and refuses the login
    (extract_param() in drivers/target/iscsi/iscsi_target_nego.c).
    """
    return Credentials(f"u{secrets.token_hex(10)}", f"p{secrets.token_hex(16)}")
