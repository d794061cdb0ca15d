# SPDX-License-Identifier: Apache-2.0
"""Who may reach a volume: Cinder's attachment rows, and what they do not show yet.

The rows lag behind the driver at both ends. A row gets its connector after the driver
has granted the connection, its connection_info (which has the credentials) later
still, and it is deleted after the driver has ended the connection. What the driver has
answered in between is remembered (``Memory``) until the rows show it:

- a *flight* is a connection that was granted. It is forgotten when a row with its
  identity shows its credentials, or showed up and is gone, or when it is ended.
  Connections of Cinder's own (backup, image copy, migration) and of its old API never
  get a row that names them; they stay flights, until they are ended or expire.
- an *ended* row is one whose connection was terminated. It counts no more. It is
  forgotten when it is gone, or says something else, because it was attached again.

Which connection a termination ends. A host's attachments share one ACL, so the
question is only whether it was the last one, and it has to be right in spite of
detaches at the same time, and of detaches that Cinder repeats because the answer or
the row's deletion was lost:

- A termination ends the row, or the flight, that has its ``identity``, if that is one
  row alone. With marked connectors it always is. So two detaches end two rows, in any
  order and however close together, and one detach, however often repeated, ends one.
- If several rows have the same identity (taken over from the in-tree driver: two
  servers on one host, attached at the same mount point), it cannot be told whether a
  second termination is another one or a repeated one. Then none of them is ended: the
  deletion of the row, which follows, tells it. Two such detaches one after the other
  find two rows, then one, and end it. Two at once leave the ACL to the reconcile:
  then no row says that it is wanted. An attached host never loses its disk (law 1),
  a detached one keeps its access for an interval at most.
- If nothing has its identity (a copy of the connector without the mark), it ends the
  oldest flight of that initiator. If there is none, and the connector has no mark (an
  operator gives it to os-force_detach, to fence a host off), it ends the initiator's
  row, if that is the only one. Otherwise it ends nothing: the row that it may have
  meant is deleted next.

What a crash does. The memory is stored before anybody is answered, so what is not in it
after a restart was not answered. Where there is none at all (a volume that the in-tree
driver exported, a lost disk), rows count as they are, and Cinder's own connections that
live are adopted from the kernel once (``Memory.adopt``). From then on an ACL without a
row and without a flight is nobody's, session or not.

Credentials are kept as long as an initiator has any connection, in the flight and then
in the row, and are new for one that has none. So hosts that were attached by the
in-tree driver go on with those they have.
"""

import dataclasses
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

from taikun_cinder.access.model import Credentials, Grant, Initiator, Mode
from taikun_cinder.access.observed import LUN, ObservedAcl
from taikun_cinder.access.rows import (
    Flight,
    Row,
    new_credentials,
    read_only_without_a_name,
)

__all__ = ["Flight", "Memory", "Row", "grants", "new_credentials"]


@dataclasses.dataclass(frozen=True)
class Memory:
    """What the driver has answered for one volume. Each change gives a new one.

    Attributes:
        flights: oldest first.
        ended: when each ended row was ended, by its key.
        current: the credentials that each initiator was told last. They decide if an
            ended row, which has others, counts again.
    """

    flights: tuple[Flight, ...] = ()
    ended: Mapping[tuple[str, str | None], float] = dataclasses.field(
        default_factory=dict
    )
    current: Mapping[Initiator, Credentials] = dataclasses.field(default_factory=dict)

    def follow(self, rows: Iterable[Row]) -> "Memory":
        """Forget what the rows show by now. To be done whenever they were read."""
        rows = tuple(rows)
        keys = {row.key for row in rows}
        by_identity = {row.identity: row for row in rows if row.connected}
        flights = tuple(_followed(self.flights, by_identity))
        known = {row.initiator for row in rows}
        known.update(one.grant.initiator for one in flights)
        return Memory(
            flights,
            {key: since for key, since in self.ended.items() if key in keys},
            {who: told for who, told in self.current.items() if who in known},
        )

    def adopt(
        self, rows: Iterable[Row], acls: Mapping[Initiator, ObservedAcl], now: float
    ) -> "Memory":
        """Take over what the kernel knows and the rows do not, after a start.

        That is the credentials of rows that do not have them yet; initiators without
        a row that are logged in, since they may be Cinder's own; and if a row does not
        say whose it is, all initiators.
        """
        rows = tuple(rows)
        nameless = any(row.connected and row.initiator is None for row in rows)
        memory = self
        for row in rows:
            if row.connected and row.initiator is not None and row.credentials is None:
                acl = acls.get(row.initiator, ObservedAcl())
                credentials = acl.credentials or _known(rows).get(row.initiator)
                if row.identity is not None and credentials is not None:
                    grant = Grant(row.initiator, credentials, row.mode)
                    memory = memory._with(Flight(row.identity, grant, now))
        for who in sorted(acls.keys() - {row.initiator for row in rows}):
            acl = acls[who]
            way = acl.mapped.get(LUN)
            if acl.credentials and (nameless or (acl.session and way is not None)):
                protected = way is not None and way.write_protect
                mode = Mode.RO if protected else Mode.RW
                grant = Grant(who, acl.credentials, mode)
                memory = memory._with(Flight(f"adopted {who}", grant, now))
        told = {who: acl.credentials for who, acl in acls.items() if acl.credentials}
        return dataclasses.replace(memory, current=told).follow(rows)

    def not_after(self, now: float) -> "Memory":
        """Give the same for a clock that has begun anew: nothing is in the future."""
        return dataclasses.replace(
            self,
            flights=tuple(
                dataclasses.replace(one, since=min(one.since, now))
                for one in self.flights
            ),
            ended={key: min(since, now) for key, since in self.ended.items()},
        )

    def attach(
        self,
        rows: Sequence[Row],
        initiator: Initiator,
        identity: str,
        mode: Mode | None,
        now: float,
        user: str | None = None,
        fresh: Callable[[], Credentials] = new_credentials,
    ) -> "Memory":
        """Grant one connection. Forget the result if it could not be made so.

        Args:
            rows: all of the volume's.
            initiator: who connects.
            identity: of the connector.
            mode: what it may do; None if its row will say, and until then only read.
            now: by the clock of the memory.
            user: whom it is for, see ``Flight``.
            fresh: makes credentials.
        """
        before = {grant.initiator: grant for grant in grants(rows, self)}
        known = before.get(initiator)
        credentials = known.credentials if known else fresh()
        grant = Grant(initiator, credentials, mode or Mode.RO)
        flight = Flight(identity, grant, now, user=user, undecided=mode is None)
        return self._with(flight)

    def detach(
        self,
        rows: Sequence[Row],
        initiator: Initiator,
        identity: str,
        now: float,
        *,
        marked: bool = True,
    ) -> "Memory":
        """End one connection, as the module's docstring says. Can be repeated."""
        own = [row for row in rows if row.connected and row.initiator == initiator]
        named = [row for row in own if row.identity == identity]
        flying = [one for one in self.flights if one.grant.initiator == initiator]
        flights = [one for one in flying if one.identity == identity]
        if not named and not flights:
            flights = [one for one in flying if not one.shown][:1]
            named = [] if marked or flights else own
        memory = self
        if len(named) == 1:
            memory = memory._ending(named, now)
        if len(named) <= 1:
            memory = memory._without(flights)
        return memory

    def detach_all(self, rows: Iterable[Row], now: float) -> "Memory":
        """End all connections."""
        connected = [row for row in rows if row.connected]
        return self._without(self.flights)._ending(connected, now)

    def expire(
        self,
        rows: Collection[Row],
        sessions: Collection[Initiator],
        now: float,
        age: float,
        patience: float,
    ) -> "Memory":
        """Forget what is too old to be true still; for the reconcile.

        A flight is over if the attachment that it was for is gone. One whose row shows
        nothing, and one that has no row, lasts while its initiator has a session that
        no row explains, and for a while after; or if a row that names nobody may be
        its. An ended row that is still there is an attachment after all.

        Args:
            rows: all of the volume's.
            sessions: who is logged in.
            now: by the clock of the memory.
            age: what should be in the rows by now, in seconds.
            patience: how long a host without a row may need to log in, in seconds.
        """
        nameless = any(row.connected and row.initiator is None for row in rows)
        explained = {row.initiator for row in rows if row.connected}
        unexplained = set(sessions) - explained
        users = {row.user for row in rows}
        kept = []
        for one in self.flights:
            limit = age if one.user in users else patience
            if one.shown:
                kept.append(one)
            elif one.user in (None, one.identity, *users):
                if one.grant.initiator in unexplained:
                    kept.append(dataclasses.replace(one, since=now))
                elif nameless or one.since >= now - limit:
                    kept.append(one)
        ended = {key: at for key, at in self.ended.items() if at >= now - age}
        return dataclasses.replace(self, flights=tuple(kept), ended=ended)

    def _with(self, flight: Flight) -> "Memory":
        rest = self._without(
            one for one in self.flights if one.identity == flight.identity
        )
        told = {**self.current, flight.grant.initiator: flight.grant.credentials}
        return dataclasses.replace(rest, flights=(*rest.flights, flight), current=told)

    def _without(self, flights: Iterable[Flight]) -> "Memory":
        gone = tuple(flights)
        rest = tuple(one for one in self.flights if one not in gone)
        return dataclasses.replace(self, flights=rest)

    def _ending(self, rows: Iterable[Row], now: float) -> "Memory":
        ended = {**{row.key: now for row in rows}, **self.ended}
        return dataclasses.replace(self, ended=ended)


def grants(rows: Iterable[Row], memory: Memory) -> frozenset[Grant]:
    """Give the grants of one volume: one for each initiator that has a connection.

    An initiator may write if any of its connections may. A row without credentials
    gives no grant by itself: nobody was ever told any, since Cinder stores them before
    it answers.

    Args:
        rows: all of the volume's, oldest first.
        memory: what they do not show.
    """
    rows = tuple(rows)
    known: dict[Initiator, list[Credentials]] = {}
    modes: dict[Initiator, list[Mode]] = {}
    undecided = {one.identity for one in memory.flights if one.undecided}
    for row in rows:
        if row.connected and row.initiator is not None and row.key not in memory.ended:
            if row.identity not in undecided:
                modes.setdefault(row.initiator, []).append(row.mode)
            if row.credentials is not None:
                known.setdefault(row.initiator, []).append(row.credentials)
    protected = read_only_without_a_name(rows, memory.flights)
    for one in memory.flights:
        mode = Mode.RO if one in protected else one.grant.mode
        modes.setdefault(one.grant.initiator, []).append(mode)
        known.setdefault(one.grant.initiator, []).append(one.grant.credentials)
    return frozenset(
        Grant(
            who,
            memory.current[who] if memory.current.get(who) in pairs else pairs[-1],
            Mode.RW if Mode.RW in modes[who] else Mode.RO,
        )
        for who, pairs in known.items()
    )


def _known(rows: Iterable[Row]) -> Mapping[Initiator, Credentials]:
    return {
        row.initiator: row.credentials
        for row in rows
        if row.connected and row.initiator is not None and row.credentials is not None
    }


def _followed(
    flights: Iterable[Flight], rows: Mapping[str | None, Row]
) -> Iterator[Flight]:
    for one in flights:
        row = rows.get(one.identity)
        if row is None and not one.shown:
            yield one
        elif row is not None and row.credentials != one.grant.credentials:
            yield dataclasses.replace(one, shown=True)
