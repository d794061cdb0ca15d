# SPDX-License-Identifier: Apache-2.0
"""The connections to a volume: Cinder's attachments, and the driver's answers."""

import dataclasses
import re
import secrets
from collections.abc import Collection, Iterable

from taikun_cinder.access.machine import UNKNOWN, Machine
from taikun_cinder.access.model import (
    Credentials,
    Grant,
    Initiator,
    Mode,
    Told,
    highest,
)

#: The form of the pairs that are made here, and of no other driver's.
_OURS = re.compile(r"u[0-9a-f]{20} p[0-9a-f]{32}")


@dataclasses.dataclass(frozen=True)
class Disks:
    """The disks that a host has by an attachment, see ``access.disks``.

    Attributes:
        initiator: the host's.
        mode: what it may do with the main disk; None if it does not have that.
        readers_disk: whether it has the readers' disk.
    """

    initiator: Initiator | None = None
    mode: Mode | None = None
    readers_disk: bool = False

    @property
    def words(self) -> str:
        """What they are, in words."""
        main = self.mode and f"the main disk ({self.mode.value})"
        readers = "the readers' disk" if self.readers_disk else None
        return " and ".join(filter(None, (main, readers)))


@dataclasses.dataclass(frozen=True)
class Attachment:
    """One of Cinder's attachments of one volume, as its row says.

    Attributes:
        id: of the attachment.
        host: the name that people know the host by.
        initiator: None if the row does not say (reserved, or made by the old API).
        connected: whether a host may be using the volume by it. One that is only
            reserved is not.
        identity: of its connector, None if it has none.
        mode: what the host may do.
        readers_disk: whether the host was given the readers' disk, and not the main
            one.
        instance_uuid: the server that it is for; None if the row does not say.
        credentials: from its connection_info; None as long as that has none for this
            initiator. When an attachment gets another connector, the old
            connection_info stays until the new one is written. So ours names the
            initiator that it is for, and one that names none is only believed beside
            a connector without a mark.
        told: where its host was told to connect; None as long as it was not.
        readable: whether all of its row could be read. If not, it may be anybody's.
        machine: the one that its connector comes from.
        keeps: the disks that its host was told before, and has besides.
        attaching: whether its host was told where to connect, and has not said that it
            did.
    """

    id: str
    host: str
    initiator: Initiator | None
    connected: bool
    identity: str | None = None
    mode: Mode = Mode.RW
    credentials: Credentials | None = None
    instance_uuid: str | None = None
    told: Told | None = None
    readable: bool = True
    machine: Machine = UNKNOWN
    readers_disk: bool = False
    keeps: Disks = Disks()
    attaching: bool = False

    @property
    def server(self) -> str:
        """The server that uses the volume by it, or else the attachment itself."""
        return self.instance_uuid or f"attachment {self.id}"

    @property
    def has_readers_disk(self) -> bool:
        """Whether its host has the readers' disk by it."""
        return self.readers_disk or self.keeps.readers_disk

    def main_mode(self, *, decided: bool) -> Mode | None:
        """Give what its host may do with the main disk by it; None for nothing.

        Args:
            decided: whether its row says the mode already.
        """
        shown = decided and not self.readers_disk
        return highest((self.keeps.mode, self.mode if shown else None))

    @property
    def keeps_more(self) -> bool:
        """Whether its host has more by it than its row says."""
        shown = None if self.readers_disk else self.mode
        more = self.has_readers_disk and not self.readers_disk
        return more or self.main_mode(decided=True) is not shown

    def keeping(self, had: Disks | None) -> "Attachment":
        """Give the same one with what its host had by it before."""
        if had is None or had.initiator != self.initiator:
            return self
        return dataclasses.replace(self, keeps=had)

    @property
    def is_nameless(self) -> bool:
        """Whether a host may be using the volume by it, and it does not say which."""
        return self.connected and self.initiator is None

    @property
    def key(self) -> tuple[str, str | None]:
        """A key that changes when the attachment gets another connector."""
        return self.id, self.identity


@dataclasses.dataclass(frozen=True)
class Connection:
    """A connection that was granted, and whose credentials no attachment shows yet.

    Attributes:
        identity: of its connector.
        grant: what was granted.
        since: when, by any clock that only goes forward, in seconds.
        shown: whether an attachment has the identity, without credentials yet.
        server: ``Attachment.server`` of its attachment, as far as that can be told
            before the row has the connector; None if Cinder itself is connected.
        undecided: whether only its attachment will say what the host may do. Until
            then it may only read.
        connector: the identity of its connector without the mark, by which an unmarked
            termination means it; empty if it is not known.
        candidates: the servers that it may be for, if there are several. Then
            ``server`` is the identity.
        idle: whether it gives nothing any more, and is only remembered so that its end
            is not taken for another's.
        rows: the ids of the attachments that it may be for; empty if none was there, or
            if it is not known.
        reads: whether who asked for it said that it is to read only.
    """

    identity: str
    grant: Grant
    since: float
    shown: bool = False
    server: str | None = None
    undecided: bool = False
    connector: str = ""
    candidates: frozenset[str] = frozenset()
    idle: bool = False
    rows: frozenset[str] = frozenset()
    reads: bool = False

    def may_be_of(self, attachment: Attachment) -> bool:
        """Say whether an attachment that has no connector yet can be the one it is for.

        If not, its answer was lost, and Cinder has made another attachment.
        """
        return self.server == attachment.server and (
            not self.rows or attachment.id in self.rows
        )

    def lost_rows(self, gone: Collection[str]) -> bool:
        """Say whether all attachments that it may be for are gone."""
        return bool(self.rows) and self.rows.issubset(gone)

    @property
    def servers(self) -> frozenset[str | None]:
        """The server that it is for, or all that it may be for."""
        return self.candidates or frozenset({self.server})

    @property
    def may_be_rowed(self) -> bool:
        """Whether it may be an attachment's, and is not known to be Cinder's own."""
        return self.server is not None or not self.connector

    @property
    def loose(self) -> bool:
        """Whether it gives something that no attachment shows."""
        return not (self.shown or self.idle)

    @property
    def writes(self) -> bool:
        """Whether the host may write by it, or perhaps will."""
        return self.undecided or self.grant.mode is Mode.RW


def read_only_by_nameless(
    attachments: Iterable[Attachment], connections: Iterable[Connection]
) -> Collection[Connection]:
    """Give the connections that attachments without an initiator hold to reading.

    Cinder's os-attach tells the mode after the connection was made, and not whose it
    is. So the mode is known only if it is the same for all, and if there is an
    attachment for each of them. One of Cinder's own may be one that was not reserved
    for, but only if there are more attachments than other hosts.
    """
    attachments = tuple(attachments)
    servers = {attachment.server for attachment in attachments}
    nameless = [attachment for attachment in attachments if attachment.is_nameless]
    loose = [
        connection
        for connection in connections
        if connection.loose and servers.isdisjoint(connection.servers)
    ]
    rowed = [connection for connection in loose if connection.may_be_rowed]
    if len(nameless) == len({connection.grant.initiator for connection in rowed}):
        loose = rowed
    hosts = {connection.grant.initiator for connection in loose}
    read_only = all(attachment.mode is Mode.RO for attachment in nameless)
    return loose if nameless and len(nameless) >= len(hosts) and read_only else ()


def new_credentials() -> Credentials:
    """Make a random pair: 80 bits of name, 128 of password.

    Neither begins with a digit. LIO takes a name that begins with ``0x`` or ``0b`` for
    an encoded number, as RFC 7143 allows for other values, and refuses the login
    (extract_param() in drivers/target/iscsi/iscsi_target_nego.c).
    """
    return Credentials(f"u{secrets.token_hex(10)}", f"p{secrets.token_hex(16)}")


def is_its_hosts_own(credentials: Credentials) -> bool:
    """Say whether a pair was made for one host alone, by :func:`new_credentials`.

    The in-tree driver gives all hosts of a volume the same.
    """
    text = f"{credentials.username} {credentials.password}"
    return _OURS.fullmatch(text) is not None
