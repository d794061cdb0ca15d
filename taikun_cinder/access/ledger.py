# SPDX-License-Identifier: Apache-2.0
"""The hosts that may reach a volume, by Cinder's attachments and the driver's answers.

An attachment lags behind the driver at both ends. Its row gets its connector after the
driver has granted the connection, its connection_info (which has the credentials) later
still, and it is deleted after the driver has ended the connection. What the driver has
answered in between stands in the volume's ledger (``Ledger``) until the rows show it:

- a *connection* was granted. It is forgotten when a row with its identity shows its
  credentials, or showed up and is gone, or when it is ended. Connections of Cinder's
  own (backup, image copy, migration) and of its old API never get a row that names
  them; they stay in the ledger until they are ended or expire.
- an *ended* attachment is one whose connection was terminated. It counts no more. It is
  forgotten when it is gone, or says something else, because it was attached again.

The connection that a termination ends. A host's attachments share one access, so the
question is only whether it was the last one, and the answer has to be right in spite of
detaches at the same time, and of detaches that Cinder repeats because the answer or the
row's deletion was lost:

- A termination ends the attachment, or the connection, that has its ``identity``, if
  that is one attachment alone. With marked connectors it always is. So two detaches end
  two attachments, in any order and however close together, and one detach, however
  often repeated, ends one.
- Several attachments may have the same identity (taken over from the in-tree driver:
  two servers on one host, attached at the same mount point). Then a second termination
  cannot be told from a repeated one, and none of them is ended: the deletion of the
  row, which follows, settles it. Two such detaches one after the other find two rows,
  then one, and end it. Two at once leave the access to the reconcile, since no row
  wants it then. An attached host never loses its disk (law 1); a detached one keeps its
  access for an interval at most.
- If nothing has its identity (a copy of the connector without the mark), it ends the
  oldest connection of that initiator. If there is none, and the connector has no mark
  (an operator gives it to os-force_detach, to fence a host off), it ends the
  initiator's attachment, if that is the only one. Otherwise it ends nothing: the row
  that it may have meant is deleted next.

After a crash. The ledger is stored before anybody is answered, so what is not in it
after a restart was not answered. Where there is none at all (a volume that the in-tree
driver exported, a lost disk), attachments count as they are, and Cinder's own
connections that live are adopted from the target once (``Ledger.adopt``). From then on
access without an attachment and without a connection in the ledger belongs to no host,
with a session or without.

Credentials are kept as long as an initiator has any connection, in the ledger and then
in the row, and are new for one that has none. So hosts that were attached by the
in-tree driver go on with those they have.
"""

import dataclasses
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

from taikun_cinder.access.attachment import (
    Attachment,
    Connection,
    new_credentials,
    read_only_by_nameless,
)
from taikun_cinder.access.model import (
    Credentials,
    Grant,
    HostState,
    Initiator,
    Mode,
    Sealed,
)


@dataclasses.dataclass(frozen=True)
class Ledger:
    """The answers of the driver for one volume. Each change gives a new ledger.

    Attributes:
        connections: oldest first.
        ended: when each ended attachment was ended, by its key.
        current: the credentials that each initiator was told last. They decide if an
            ended attachment, which has others, counts again.
    """

    connections: tuple[Connection, ...] = ()
    ended: Mapping[tuple[str, str | None], float] = dataclasses.field(
        default_factory=dict
    )
    current: Mapping[Initiator, Credentials] = dataclasses.field(default_factory=dict)

    def prune(self, attachments: Iterable[Attachment]) -> "Ledger":
        """Forget what the attachments show by now; called whenever they were read."""
        attachments = tuple(attachments)
        keys = {attachment.key for attachment in attachments}
        by_identity = {
            attachment.identity: attachment
            for attachment in attachments
            if attachment.connected
        }
        connections = tuple(_not_shown(self.connections, by_identity))
        known = {attachment.initiator for attachment in attachments}
        known.update(connection.grant.initiator for connection in connections)
        return Ledger(
            connections,
            {key: since for key, since in self.ended.items() if key in keys},
            {
                initiator: credentials
                for initiator, credentials in self.current.items()
                if initiator in known
            },
        )

    def adopt(
        self,
        attachments: Iterable[Attachment],
        hosts: Mapping[Initiator, HostState],
        now: float,
    ) -> "Ledger":
        """Take over what the target knows and the attachments do not, after a start.

        That is the credentials of attachments that do not have them yet; initiators
        without an attachment that are logged in, since they may be Cinder's own; and if
        an attachment does not say whose it is, all initiators.
        """
        attachments = tuple(attachments)
        nameless = any(
            attachment.connected and attachment.initiator is None
            for attachment in attachments
        )
        # The in-tree driver has one pair for all hosts of a volume.
        pairs = [one.credentials for one in attachments if one.credentials is not None]
        had = {
            initiator: _opened(host.credentials, pairs)
            for initiator, host in hosts.items()
            if host.credentials
        }
        ledger = self
        for attachment in attachments:
            initiator = attachment.initiator
            if (
                attachment.connected
                and initiator is not None
                and attachment.credentials is None
            ):
                credentials = had.get(initiator)
                if credentials is None or not credentials.known:
                    credentials = _known(attachments).get(initiator, credentials)
                if attachment.identity is not None and credentials is not None:
                    grant = Grant(initiator, credentials, attachment.mode)
                    ledger = ledger._with(Connection(attachment.identity, grant, now))
        for initiator in sorted(
            hosts.keys() - {attachment.initiator for attachment in attachments}
        ):
            host = hosts[initiator]
            uses_it = host.connected and host.mode is not None
            if initiator in had and (nameless or uses_it):
                grant = Grant(initiator, had[initiator], host.mode or Mode.RW)
                ledger = ledger._with(Connection(f"adopted {initiator}", grant, now))
        return dataclasses.replace(ledger, current=had).prune(attachments)

    def not_after(self, now: float) -> "Ledger":
        """Give the same ledger for a clock that started again: no time is ahead."""
        return dataclasses.replace(
            self,
            connections=tuple(
                dataclasses.replace(connection, since=min(connection.since, now))
                for connection in self.connections
            ),
            ended={key: min(since, now) for key, since in self.ended.items()},
        )

    def attach(
        self,
        attachments: Sequence[Attachment],
        initiator: Initiator,
        identity: str,
        mode: Mode | None,
        now: float,
        server: str | None = None,
        fresh: Callable[[], Credentials] = new_credentials,
    ) -> "Ledger":
        """Grant one connection. Forget the result if it could not be made so.

        Args:
            attachments: all of the volume's.
            initiator: the host's.
            identity: of the connector.
            mode: what the host may do; None if its attachment will say, and until then
                only read.
            now: by the clock of the ledger.
            server: the server that it is for, see ``Connection``.
            fresh: makes credentials.
        """
        before = {grant.initiator: grant for grant in grants(attachments, self)}
        known = before.get(initiator)
        told = known is not None and known.credentials.known
        credentials = known.credentials if known and told else fresh()
        grant = Grant(initiator, credentials, mode or Mode.RO)
        return self._with(
            Connection(identity, grant, now, server=server, undecided=mode is None)
        )

    def detach(
        self,
        attachments: Sequence[Attachment],
        initiator: Initiator,
        identity: str,
        now: float,
        *,
        marked: bool = True,
    ) -> "Ledger":
        """End one connection, as the module's docstring says. Can be repeated."""
        own = [
            attachment
            for attachment in attachments
            if attachment.connected and attachment.initiator == initiator
        ]
        named = [attachment for attachment in own if attachment.identity == identity]
        hosts_own = [
            connection
            for connection in self.connections
            if connection.grant.initiator == initiator
        ]
        connections = [
            connection for connection in hosts_own if connection.identity == identity
        ]
        if not named and not connections:
            connections = [
                connection for connection in hosts_own if not connection.shown
            ][:1]
            named = [] if marked or connections else own
        ledger = self
        if len(named) == 1:
            ledger = ledger._ending(named, now)
        if len(named) <= 1:
            ledger = ledger._without(connections)
        return ledger

    def detach_all(self, attachments: Iterable[Attachment], now: float) -> "Ledger":
        """End all connections."""
        connected = [attachment for attachment in attachments if attachment.connected]
        return self._without(self.connections)._ending(connected, now)

    def expire(
        self,
        attachments: Collection[Attachment],
        sessions: Collection[Initiator],
        now: float,
        age: float,
        patience: float,
    ) -> "Ledger":
        """Forget what is too old to be still true; for the reconcile.

        A connection is over if the attachment that it was for is gone. One whose row
        shows nothing, and one that has no row, lasts while its initiator has a session
        that no attachment explains, and for a while after; or if an attachment that
        names nobody may be its. An ended attachment that is still there is an
        attachment after all.

        Args:
            attachments: all of the volume's.
            sessions: the initiators that are logged in.
            now: by the clock of the ledger.
            age: what should be in the rows by now, in seconds.
            patience: how long a host without an attachment may need to log in, in
                seconds.
        """
        connected = [attachment for attachment in attachments if attachment.connected]
        nameless = any(attachment.initiator is None for attachment in connected)
        explained = {attachment.initiator for attachment in connected}
        unexplained = set(sessions) - explained
        servers = {attachment.server for attachment in attachments}
        kept = []
        for connection in self.connections:
            limit = age if connection.server in servers else patience
            if connection.shown:
                kept.append(connection)
            elif connection.server in (None, connection.identity, *servers):
                if connection.grant.initiator in unexplained:
                    kept.append(dataclasses.replace(connection, since=now))
                elif nameless or connection.since >= now - limit:
                    kept.append(connection)
        ended = {key: since for key, since in self.ended.items() if since >= now - age}
        return dataclasses.replace(self, connections=tuple(kept), ended=ended)

    def _with(self, connection: Connection) -> "Ledger":
        rest = self._without(
            other for other in self.connections if other.identity == connection.identity
        )
        grant = connection.grant
        return dataclasses.replace(
            rest,
            connections=(*rest.connections, connection),
            current={**self.current, grant.initiator: grant.credentials},
        )

    def _without(self, connections: Iterable[Connection]) -> "Ledger":
        gone = tuple(connections)
        rest = tuple(
            connection for connection in self.connections if connection not in gone
        )
        return dataclasses.replace(self, connections=rest)

    def _ending(self, attachments: Iterable[Attachment], now: float) -> "Ledger":
        new = {attachment.key: now for attachment in attachments}
        return dataclasses.replace(self, ended={**new, **self.ended})


def grants(attachments: Iterable[Attachment], ledger: Ledger) -> frozenset[Grant]:
    """Give the grants of one volume: one for each initiator that has a connection.

    An initiator may write if any of its connections may. An attachment without
    credentials gives no grant by itself: no host was ever told any, since Cinder stores
    them before it answers.

    Args:
        attachments: all of the volume's, oldest first.
        ledger: what they do not show.
    """
    attachments = tuple(attachments)
    known: dict[Initiator, list[Credentials]] = {}
    modes: dict[Initiator, list[Mode]] = {}
    undecided = {
        connection.identity for connection in ledger.connections if connection.undecided
    }
    for attachment in attachments:
        initiator = attachment.initiator
        if not attachment.connected or initiator is None:
            continue
        if attachment.key in ledger.ended:
            continue
        if attachment.identity not in undecided:
            modes.setdefault(initiator, []).append(attachment.mode)
        if attachment.credentials is not None:
            known.setdefault(initiator, []).append(attachment.credentials)
    read_only = read_only_by_nameless(attachments, ledger.connections)
    for connection in ledger.connections:
        grant = connection.grant
        mode = Mode.RO if connection in read_only else grant.mode
        modes.setdefault(grant.initiator, []).append(mode)
        known.setdefault(grant.initiator, []).append(grant.credentials)
    return frozenset(
        Grant(
            initiator,
            _chosen(pairs, ledger.current.get(initiator)),
            Mode.RW if Mode.RW in modes[initiator] else Mode.RO,
        )
        for initiator, pairs in known.items()
    )


def _chosen(pairs: Sequence[Credentials], current: Credentials | None) -> Credentials:
    """Give the pair that a host uses, of those that its connections have."""
    told = [pair for pair in pairs if pair.known] or pairs
    return current if current is not None and current in told else told[-1]


def _opened(shown: Credentials | Sealed, known: Iterable[Credentials]) -> Credentials:
    return shown.opened(known) if isinstance(shown, Sealed) else shown


def _known(attachments: Iterable[Attachment]) -> Mapping[Initiator, Credentials]:
    return {
        attachment.initiator: attachment.credentials
        for attachment in attachments
        if attachment.connected
        and attachment.initiator is not None
        and attachment.credentials is not None
    }


def _not_shown(
    connections: Iterable[Connection], attachments: Mapping[str | None, Attachment]
) -> Iterator[Connection]:
    for connection in connections:
        attachment = attachments.get(connection.identity)
        if attachment is None and not connection.shown:
            yield connection
        elif (
            attachment is not None
            and attachment.credentials != connection.grant.credentials
            and (connection.grant.credentials.known or attachment.credentials is None)
        ):
            yield dataclasses.replace(connection, shown=True)
