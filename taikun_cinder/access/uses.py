# SPDX-License-Identifier: Apache-2.0
"""Who uses a volume, for the rules; and whom a new connection is for."""

from collections import Counter
from collections.abc import Iterable, Iterator

from taikun_cinder.access.grants import Memory
from taikun_cinder.access.model import Initiator, Mode
from taikun_cinder.access.rows import Row
from taikun_cinder.access.rules import Use


def uses(rows: Iterable[Row], memory: Memory) -> Iterator[Use]:
    """Give the connections of a volume, without those of Cinder itself."""
    flights = {one.identity: one for one in memory.flights}
    for row in rows:
        if row.connected and row.key not in memory.ended:
            flight = flights.pop(row.identity, None) if row.identity else None
            writes = flight.writes if flight else row.mode is Mode.RW
            yield Use(row.user, row.initiator, writes)
    for one in flights.values():
        if one.user is not None:
            yield Use(one.user, one.grant.initiator, one.writes)


def users(rows: Iterable[Row], memory: Memory, initiator: Initiator) -> frozenset[str]:
    """Give all whom a new connection of an initiator may be for; none if no row says.

    It is for an attachment that has no connector yet. If something was answered for all
    of those, Cinder repeats a request: for one of them, or for one with its connector.
    """
    rows = tuple(rows)
    waiting = Counter(row.user for row in rows if not row.connected)
    answered = [one for one in memory.flights if not one.shown]
    again = {one.user for one in answered if one.grant.initiator == initiator}
    left = waiting - Counter(one.user for one in answered if one.user is not None)
    connected = (
        row.user
        for row in rows
        if row.connected and row.initiator == initiator and row.key not in memory.ended
    )
    fresh = left.keys() | (waiting.keys() & again)
    return frozenset(fresh or tuple(connected) or waiting)
