# SPDX-License-Identifier: Apache-2.0
"""The end of connections that nobody ended: how long each lasts, and why.

A connection without an attachment that shows it is Cinder's own (a backup, a copy of an
image), or belongs to an attachment that Cinder has yet to write, or to nobody: its
answer was lost, or its end was. Nothing says which. So, of those, in this order:

- One whose server has no attachment any more, or whose attachments Cinder has all
  deleted, is over. One whose server, or all servers that it may be for, got another
  connection since is over after a while. Unless its host has a session that no
  attachment explains but one without a host's name may, as there are more such
  attachments than other hosts that they may be of.
- One whose host has a session that no attachment explains is in use.
- One is young for a while after it was granted, or was in use.
- One that an attachment without a host's name may be about is kept: unless as many
  other hosts are in use as there are such attachments. Cinder's own never is: it has
  no attachment.
- One on a host that is logged in by an attachment may be in use, too. But it must not
  let that host in when the attachment ends. It becomes idle: it gives nothing, and is
  only remembered, so that its end is not taken for the attachment's.
- All others are over.
"""

import dataclasses
import functools
from collections.abc import Collection, Iterable, Iterator

from taikun_cinder.access.attachment import Attachment, Connection
from taikun_cinder.access.model import Initiator


@dataclasses.dataclass(frozen=True)
class Moment:
    """What a reconcile sees.

    Attributes:
        attachments: all of the volume's.
        sessions: the initiators that are logged in.
        now: by the clock of the ledger, in seconds.
        age: what should be in the rows by now, in seconds.
        patience: how long a host without an attachment may need to log in, in seconds.
        deleted: the ids of attachments that Cinder has marked as deleted, of those that
            connections may be for.
    """

    attachments: Collection[Attachment]
    sessions: Collection[Initiator]
    now: float
    age: float
    patience: float
    deleted: Collection[str] = frozenset()

    @functools.cached_property
    def connected(self) -> list[Attachment]:
        """The attachments that have a connector, or had one that cannot be read."""
        return [one for one in self.attachments if one.connected]

    @functools.cached_property
    def nameless(self) -> int:
        """How many attachments name no host, and may be any's."""
        return sum(one.initiator is None for one in self.connected)

    @functools.cached_property
    def explained(self) -> frozenset[Initiator]:
        """The initiators that an attachment names."""
        named = (one.initiator for one in self.connected)
        return frozenset(one for one in named if one is not None)

    @functools.cached_property
    def unexplained(self) -> frozenset[Initiator]:
        """The initiators that are logged in by no attachment."""
        return frozenset(self.sessions) - self.explained

    @functools.cached_property
    def settled(self) -> frozenset[str]:
        """The servers all of whose attachments have a connector."""
        named = {one.server for one in self.connected if one.initiator}
        return frozenset(named - self.waiting)

    @functools.cached_property
    def servers(self) -> frozenset[str]:
        """The servers that have an attachment."""
        return frozenset(one.server for one in self.attachments)

    @functools.cached_property
    def waiting(self) -> frozenset[str]:
        """The servers with an attachment that has no connector yet."""
        return frozenset(one.server for one in self.attachments if not one.connected)


def lasting(connections: Iterable[Connection], moment: Moment) -> Iterator[Connection]:
    """Give the connections that are not over.

    Args:
        connections: those that were granted.
        moment: what is seen.
    """
    connections = tuple(connections)
    protects = _protects(connections, moment)
    gone = frozenset(_gone(connections, moment))
    for connection in connections:
        initiator = connection.grant.initiator
        logged_in = initiator in moment.sessions
        if connection.shown or (connection.idle and logged_in):
            yield connection
        elif connection.idle:
            continue
        elif connection in gone:
            young = connection.since >= moment.now - moment.age
            if young and not _is_orphaned(connection, moment):
                yield connection
        elif initiator in moment.unexplained:
            yield dataclasses.replace(connection, since=moment.now)
        elif _is_young(connection, moment) or (protects and connection.may_be_rowed):
            yield connection
        elif logged_in and connection.connector:
            yield dataclasses.replace(connection, idle=True)


def _is_orphaned(connection: Connection, moment: Moment) -> bool:
    if connection.lost_rows(moment.deleted):
        return True
    return connection.server not in (None, connection.identity, *moment.servers)


def _gone(connections: Collection[Connection], moment: Moment) -> Iterator[Connection]:
    seem = [
        one
        for one in connections
        if _is_orphaned(one, moment) or _is_superseded(one, moment)
    ]
    others = [one for one in connections if one not in seem]
    # It may be that of an attachment without a host's name, if too few others may be.
    excuses = moment.nameless > len(_hosts(others))
    for one in seem:
        if not (excuses and one.grant.initiator in moment.unexplained):
            yield one


def _is_superseded(connection: Connection, moment: Moment) -> bool:
    if connection.candidates:
        return not connection.candidates & moment.waiting
    elsewhere = connection.grant.initiator not in moment.explained
    return elsewhere and connection.server in moment.settled


def _is_young(connection: Connection, moment: Moment) -> bool:
    has_row = not moment.servers.isdisjoint({connection.server, *connection.candidates})
    limit = moment.age if has_row else moment.patience
    return connection.since >= moment.now - limit


def _protects(connections: Iterable[Connection], moment: Moment) -> bool:
    """Say whether attachments without a host's name may be of hosts not logged in."""
    return moment.nameless > len(_hosts(connections) & moment.unexplained)


def _hosts(connections: Iterable[Connection]) -> set[Initiator]:
    """Give the hosts of connections that may be of attachments without a name."""
    return {
        one.grant.initiator for one in connections if one.loose and one.may_be_rowed
    }
