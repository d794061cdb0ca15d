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

``access.termination`` says which of them a termination means.

After a crash. The ledger is stored before anybody is answered, so what is not in it
after a restart was not answered. Where there is none at all (a volume that the in-tree
driver exported, a lost disk), attachments count as they are, and Cinder's own
connections that live are adopted from the target once (``Ledger.adopt``). From then on
access without an attachment and without a connection in the ledger belongs to no host,
with a session or without.

Credentials are kept as long as an initiator has any connection, in the ledger and then
in the row, and are new for one that has none. So hosts that were attached by the
in-tree driver go on with those they have. A host whose access ended while it was logged
in gets its pair once more, when it is let in again (``Ledger.keep``): its initiator
does not know that the session is over, and goes on trying to log in with that pair
alone (open-iscsi's iscsid). Meanwhile nobody can log in with it, as there is no ACL.
"""

import dataclasses
from collections.abc import (
    Callable,
    Collection,
    Container,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from typing import TypeVar

from taikun_cinder.access import disks
from taikun_cinder.access.adoption import adopted
from taikun_cinder.access.attachment import (
    Attachment,
    Connection,
    Disks,
    is_its_hosts_own,
    new_credentials,
)
from taikun_cinder.access.expiry import Moment, lasting
from taikun_cinder.access.grants import grants
from taikun_cinder.access.machine import UNKNOWN, Machine
from taikun_cinder.access.model import (
    Credentials,
    Grant,
    HostState,
    Initiator,
    Mode,
)
from taikun_cinder.access.termination import (
    ASKED,
    DONE,
    EXACT,
    OPEN,
    OTHER,
    REPEATED_WITHIN,
    Termination,
    asked,
    is_repeated,
    meant,
    settled,
)

V = TypeVar("V")

#: How long after its host's log-out an attachment is ended, in seconds, at most.
_DETACHED_WITHIN = 30.0

#: What stands for an attachment in ``Ledger.ended``.
_NOTES = (EXACT, OTHER, DONE, OPEN, ASKED)


@dataclasses.dataclass(frozen=True)
class Kept:
    """The pair of a host whose access ended while it was logged in.

    Attributes:
        credentials: the pair. They are no other host's.
        machine: the host. A clone of it, with the same initiator, does not get them:
            the host would get in behind it.
    """

    credentials: Credentials
    machine: Machine = UNKNOWN


@dataclasses.dataclass(frozen=True)
class Ledger:
    """The answers of the driver for one volume. Each change gives a new ledger.

    Attributes:
        connections: oldest first.
        ended: when each ended attachment was ended, by its key; and when a termination
            without a mark was answered, by what ``termination`` notes of it.
        current: the credentials that each initiator was told last. They decide if an
            ended attachment, which has others, counts again.
        machines: the machine that each initiator belongs to.
        kept: what hosts without access get back when they are let in again.
        absent: since when hosts with access were seen without a session.
        attachments: the ids of those that each initiator with access had last.
        disks: what hosts have by attachments beside what their rows say, by their ids.
    """

    connections: tuple[Connection, ...] = ()
    ended: Mapping[tuple[str, str | None], float] = dataclasses.field(
        default_factory=dict
    )
    current: Mapping[Initiator, Credentials] = dataclasses.field(default_factory=dict)
    machines: Mapping[Initiator, Machine] = dataclasses.field(default_factory=dict)
    kept: Mapping[Initiator, Kept] = dataclasses.field(default_factory=dict)
    absent: Mapping[Initiator, float] = dataclasses.field(default_factory=dict)
    attachments: Mapping[Initiator, frozenset[str]] = dataclasses.field(
        default_factory=dict
    )
    disks: Mapping[str, Disks] = dataclasses.field(default_factory=dict)

    def prune(
        self, attachments: Iterable[Attachment], let_in: Iterable[Initiator] = ()
    ) -> "Ledger":
        """Forget what the attachments show by now; called whenever they were read.

        Args:
            attachments: all of the volume's.
            let_in: the initiators that have access, even if nothing asks for it.
        """
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
        known.update(let_in)
        machines = dict(self.machines)
        for attachment in attachments:
            if attachment.initiator is not None:
                told = machines.get(attachment.initiator, UNKNOWN)
                machines[attachment.initiator] = attachment.machine.known_by(told)
        return Ledger(
            connections,
            {
                key: since
                for key, since in self.ended.items()
                if key in keys or key[0] in _NOTES
            },
            _of(known, self.current),
            _of(known, machines),
            self.kept,
            _of(known, self.absent),
            _joined(_of(known, self.attachments), self._had_by(attachments)),
            disks.lasting(
                self.disks,
                attachments,
                frozenset().union(*self.attachments.values()),
                {one.identity for one in self.connections if one.reads},
                {id_ for id_, identity in self.ended if (id_, identity) not in keys},
            ),
        )

    def with_attachments_of(
        self, initiators: Collection[Initiator], attachments: Iterable[Attachment]
    ) -> "Ledger":
        """Forget which other attachments some initiators had before."""
        now = _of(initiators, self._had_by(attachments))
        rest = _of(self.attachments.keys() - initiators, self.attachments)
        return dataclasses.replace(self, attachments={**rest, **now})

    def without_attachments(self, over: Collection[str]) -> "Ledger":
        """Forget that anybody had some attachments, which are over."""
        rest = {host: ids.difference(over) for host, ids in self.attachments.items()}
        return dataclasses.replace(self, attachments=rest)

    def without_deleted(self, deleted: Collection[str]) -> "Ledger":
        """End the connections all of whose attachments Cinder has deleted."""
        loose = (one for one in self.connections if one.loose)
        return self._without(one for one in loose if one.lost_rows(deleted))

    def _had_by(
        self, attachments: Iterable[Attachment]
    ) -> dict[Initiator, frozenset[str]]:
        """Give the ids of the attachments that hosts have, and that are not ended."""
        return _by_initiator(one for one in attachments if one.key not in self.ended)

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
        connections, current = adopted(attachments, hosts, now)
        ledger = self
        for connection in connections:
            ledger = ledger._with(connection)
        return dataclasses.replace(ledger, current=current).prune(attachments)

    def not_after(self, now: float) -> "Ledger":
        """Give the same ledger for a clock that started again: no time is ahead."""
        return self._timed(lambda since: min(since, now))

    def as_of(self, now: float) -> "Ledger":
        """Give the same ledger for another clock: all times are now."""
        return self._timed(lambda _: now)

    def _timed(self, change: Callable[[float], float]) -> "Ledger":
        return dataclasses.replace(
            self,
            connections=tuple(
                dataclasses.replace(connection, since=change(connection.since))
                for connection in self.connections
            ),
            ended={key: change(since) for key, since in self.ended.items()},
            absent={host: change(since) for host, since in self.absent.items()},
        )

    def attach(
        self,
        attachments: Sequence[Attachment],
        initiator: Initiator,
        identity: str,
        mode: Mode | None,
        now: float,
        server: str | None = None,
        *,
        readers_disk: bool = False,
        fresh: Callable[[], Credentials] = new_credentials,
        machine: Machine = UNKNOWN,
        connector: str = "",
        candidates: frozenset[str] = frozenset(),
        reads: bool = False,
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
            readers_disk: whether the host gets the readers' disk, and not the main one.
            fresh: makes credentials.
            machine: the host.
            connector: see ``Connection``.
            candidates: see ``Connection``.
            reads: see ``Connection``.
        """
        before = {grant.initiator: grant for grant in grants(attachments, self)}
        known = before.get(initiator)
        credentials = known.credentials if known else self._kept_for(initiator, machine)
        if credentials is None or not credentials.known:
            credentials = fresh()
        main = None if readers_disk else mode or Mode.RO
        made = Connection(
            identity,
            Grant(initiator, credentials, main, readers_disk),
            now,
            server=server,
            undecided=mode is None,
            connector=connector,
            candidates=candidates,
            rows=frozenset(
                attachment.id
                for attachment in attachments
                if attachment.server in {server, *candidates}
                if attachment.initiator in (None, initiator)
            ),
            reads=reads,
        )
        told = machine.known_by(self.machines.get(initiator, UNKNOWN))
        own = (
            attachment
            for attachment in attachments
            if attachment.initiator == initiator
            if attachment.connected and attachment.key not in self.ended
        )
        undecided = {one.identity for one in self.connections if one.undecided}
        return dataclasses.replace(
            self._with(made),
            disks=disks.noted(self.disks, own, undecided),
            machines={**self.machines, initiator: told},
            kept=_of(self.kept.keys() - {initiator}, self.kept),
            absent=_of(self.absent.keys() - {initiator}, self.absent),
        )

    def look(
        self, granted: Iterable[Initiator], connected: Container[Initiator], now: float
    ) -> "Ledger":
        """Note which hosts that have access are not logged in."""
        absent = {
            initiator: self.absent.get(initiator, now)
            for initiator in granted
            if initiator not in connected
        }
        return dataclasses.replace(self, absent=absent)

    def lost(self, now: float) -> frozenset[Initiator]:
        """Give the hosts that lost their session, and did not log out for a detach.

        One that logs out for a detach is detached at once. The session of a host that
        cannot be reached ends after 45 s: LIO asks after 15 s of silence, and waits
        30 s for the answer (NA_NOPIN_TIMEOUT and NA_NOPIN_RESPONSE_TIMEOUT in
        drivers/target/iscsi/iscsi_target_core.h).
        """
        return frozenset(
            initiator
            for initiator, since in self.absent.items()
            if since <= now - _DETACHED_WITHIN
        )

    def keep(
        self,
        cut_off: Mapping[Initiator, Credentials],
        machines: Mapping[Initiator, Machine],
    ) -> "Ledger":
        """Keep the pairs of hosts whose access ended while they were logged in.

        A pair of the in-tree driver's is not kept: all hosts of the volume had the
        same, and whoever was detached could log in with it as this host.

        Args:
            cut_off: the hosts, and what they logged in with.
            machines: those that are known of them.
        """
        new = {
            initiator: Kept(credentials, machines.get(initiator, UNKNOWN))
            for initiator, credentials in cut_off.items()
            if is_its_hosts_own(credentials)
        }
        return dataclasses.replace(self, kept={**self.kept, **new})

    def detach(
        self,
        attachments: Sequence[Attachment],
        initiator: Initiator,
        identity: str,
        now: float,
        *,
        marked: bool = True,
        force: bool = False,
        connector: str = "",
        request: str = "",
        gone: Collection[str] = (),
    ) -> "Ledger":
        """End what a termination means, see ``access.termination``. Can be repeated."""
        termination = Termination(initiator, identity, now, marked, force, connector)
        found = meant(termination, attachments, self.connections, self.ended, gone)
        ends = bool(found.attachments or found.connections)
        is_open = not (ends or found.is_clear)
        repeats = is_repeated(termination, self.ended)
        ledger = self._without_open() if ends or not marked else self
        ledger = ledger._ending(found.attachments, now)._without(found.connections)
        if found.note is not None:
            ledger = ledger._noting(found.note, identity, now)
        if found.note == OTHER and ends:
            ledger = ledger._noting(DONE, identity, now)
        elif found.note == OTHER and is_open and not repeats:
            ledger = ledger._noting(OPEN, str(initiator), now)
        if request and is_open and not (marked or force):
            ledger = ledger._noting(ASKED, asked(request, initiator), now)
        return ledger

    def settle(
        self,
        attachments: Sequence[Attachment],
        now: float,
        request: str = "",
        gone: Collection[str] = (),
    ) -> "Ledger":
        """End what a termination meant that could not be told from others then.

        Called where Cinder is about to delete a row, see ``termination.settled``.
        """
        found = settled(attachments, self.connections, self.ended, now, request, gone)
        ledger = self._without_open()
        return ledger._ending(found.attachments, now)._without(found.connections)

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
        deleted: Collection[str] = frozenset(),
    ) -> "Ledger":
        """Forget what is too old to be still true; for the reconcile.

        For the arguments, and what becomes of connections, see ``access.expiry``. An
        ended attachment that is still there is an attachment after all.
        """
        moment = Moment(attachments, sessions, now, age, patience, deleted)
        longer = max(age, REPEATED_WITHIN)
        ended = {
            key: since
            for key, since in self.ended.items()
            if since >= now - (longer if key[0] in _NOTES else age)
        }
        kept = tuple(lasting(self.connections, moment))
        ledger = dataclasses.replace(self, connections=kept, ended=ended)
        left = {connection.identity for connection in kept}
        over = (one for one in self.connections if one.identity not in left)
        return ledger._with_missing(over, {one.id for one in attachments}, deleted)

    def _with_missing(
        self,
        over: Iterable[Connection],
        there: Collection[str],
        deleted: Collection[str],
    ) -> "Ledger":
        """Note which attachments hosts had by connections whose rows nobody has seen.

        Cinder did not delete them: they are missing, as in an older copy of the
        database. So as long as their hosts are let in, that is what by.
        """
        had = dict(self.attachments)
        for connection in over:
            if not connection.candidates and connection.rows.isdisjoint(there):
                host = connection.grant.initiator
                missing = connection.rows.difference(deleted)
                had[host] = had.get(host, frozenset()) | missing
        return dataclasses.replace(self, attachments=had)

    def without(self, identities: Container[str]) -> "Ledger":
        """Give the ledger without some connections, as if they had never been made."""
        return self._without(
            one for one in self.connections if one.identity in identities
        )

    def _with(self, connection: Connection) -> "Ledger":
        rest = self.without({connection.identity})
        grant = connection.grant
        return dataclasses.replace(
            rest,
            connections=(*rest.connections, connection),
            current={**self.current, grant.initiator: grant.credentials},
        )

    def _kept_for(self, initiator: Initiator, machine: Machine) -> Credentials | None:
        kept = self.kept.get(initiator)
        if kept is None or kept.machine.is_another(machine):
            return None
        return kept.credentials

    def _noting(self, note: str, name: str, now: float) -> "Ledger":
        # No call is compared with an older one, and no reconcile may come to forget it.
        rest = {
            key: since
            for key, since in self.ended.items()
            if key[0] not in _NOTES or since >= now - REPEATED_WITHIN
        }
        return dataclasses.replace(self, ended={**rest, (note, name): now})

    def _without_open(self) -> "Ledger":
        rest = {key: since for key, since in self.ended.items() if key[0] != OPEN}
        return dataclasses.replace(self, ended=rest)

    def _without(self, connections: Iterable[Connection]) -> "Ledger":
        gone = tuple(connections)
        rest = tuple(
            connection for connection in self.connections if connection not in gone
        )
        return dataclasses.replace(self, connections=rest)

    def _ending(self, attachments: Iterable[Attachment], now: float) -> "Ledger":
        new = {attachment.key: now for attachment in attachments}
        return dataclasses.replace(self, ended={**self.ended, **new})


def _of(
    known: Container[Initiator | None], told: Mapping[Initiator, V]
) -> dict[Initiator, V]:
    return {initiator: value for initiator, value in told.items() if initiator in known}


def _by_initiator(
    attachments: Iterable[Attachment],
) -> dict[Initiator, frozenset[str]]:
    found: dict[Initiator, frozenset[str]] = {}
    for attachment in attachments:
        if attachment.initiator is not None and attachment.connected:
            known = found.get(attachment.initiator, frozenset())
            found[attachment.initiator] = known | {attachment.id}
    return found


def _joined(
    one: Mapping[Initiator, frozenset[str]], other: Mapping[Initiator, frozenset[str]]
) -> dict[Initiator, frozenset[str]]:
    none: frozenset[str] = frozenset()
    return {key: one.get(key, none) | other.get(key, none) for key in {**one, **other}}


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
