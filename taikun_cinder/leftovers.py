# SPDX-License-Identifier: Apache-2.0
"""Access that nothing asks for any more, and what becomes of it."""

import dataclasses
from collections.abc import Callable, Collection, Iterator
from typing import Any

from taikun_cinder import database
from taikun_cinder.access.grants import grants
from taikun_cinder.access.ledger import Ledger
from taikun_cinder.access.model import Export, Grant, Initiator
from taikun_cinder.known import Known
from taikun_cinder.targets.base import Result, Target

#: Gives those of a volume's live initiators that keep their access for now, see
#: ``brake.Brake.hold``.
Hold = Callable[[str, Collection[Initiator]], Collection[Initiator]]


def spared(
    volume: Any,
    known: Known,
    granted: frozenset[Grant],
    about: Collection[Initiator],
    target: Target,
    hold: Hold | None,
    *,
    certain: bool = False,
) -> frozenset[Grant]:
    """Give the grants that nothing asks for any more, and that stay for now.

    A request ends what it is about, and what Cinder says that it has deleted. All else
    that is only missing is left to the reconcile and its brake.

    Args:
        volume: Cinder's.
        known: what is known about it.
        granted: what is asked for.
        about: whose access a request ends.
        target: what exports the volume.
        hold: the reconcile's; None for a request.
        certain: whether the request ends its host's access even where an attachment
            that cannot be read may be that host's, too.
    """
    asked = {grant.initiator for grant in granted}
    missing = frozenset(grant for grant in known.had if grant.initiator not in asked)
    # Whose rows are there still was ended by a request.
    ended = {attachment.initiator for attachment in known.attachments}.union(about)
    lost = frozenset(grant for grant in missing if grant.initiator not in ended)
    if not known.readable:
        return lost if certain else lost | _doubtful(known, missing, lost)
    gone = _gone(known, lost)
    lost = frozenset(grant for grant in lost if grant.initiator not in gone)
    if not lost or hold is None:
        return lost
    live = target.read(known.target).connected
    kept = hold(
        volume["id"], [grant.initiator for grant in lost if grant.initiator in live]
    )
    return frozenset(grant for grant in lost if grant.initiator in kept)


def _doubtful(
    known: Known, missing: frozenset[Grant], lost: frozenset[Grant]
) -> frozenset[Grant]:
    """Give the grants that an attachment which cannot be read may still ask for.

    Args:
        known: what is known about the volume.
        missing: the grants that no readable attachment asks for.
        lost: those of them that the request is not about.
    """
    broken = [one for one in known.attachments if not one.readable]
    named = {one.initiator for one in broken if one.initiator is not None}
    nameless = [one for one in broken if one.initiator is None]
    # Those that name nobody are of hosts that the request is not about, if there are
    # enough of these.
    if len(nameless) > len(lost):
        return missing
    return frozenset(grant for grant in missing if grant.initiator in named)


def _gone(known: Known, grants: Collection[Grant]) -> frozenset[Initiator]:
    """Give the hosts of whose attachments Cinder says that it has deleted them."""
    ledger = known.ledger
    hosts = {grant.initiator for grant in grants}
    asked = {one for host in hosts for one in ledger.attachments.get(host, ())}
    deleted = database.deleted(asked) if asked else frozenset()
    return frozenset(host for host in hosts if ledger.is_gone(host, deleted))


def taken_up(known: Known, initiators: Collection[Initiator]) -> Ledger:
    """Give the ledger for hosts that are about to be let in.

    One may still be let in though nothing wants it: its row was deleted, and nobody
    told the driver. It may be logged in, so that it goes on with the pair that it has.
    """
    asked = {grant.initiator for grant in grants(known.attachments, known.ledger)}
    left = {
        grant
        for grant in known.had
        if grant.initiator in initiators and grant.initiator not in asked
    }
    ledger = known.ledger.without_attachments(_gone(known, left))
    return known.keep(ledger, {grant.initiator for grant in left})


def remembered(
    known: Known, ledger: Ledger, export: Export | None, result: Result, now: float
) -> Ledger:
    """Give the ledger with the pairs of hosts that were cut off while logged in.

    A host whose access is over was logged in, unless it was seen that it was not: after
    a crash or a reboot nobody saw.

    Args:
        known: what was known before.
        ledger: what is to be kept.
        export: what is exported by now.
        result: of making it so.
        now: by the clock of the ledger.
    """
    over = known.let_in - (export.grant_of.keys() if export else frozenset())
    before = known.record.ledger if known.record else ledger
    logged_out = result.logged_out - before.lost(now)
    return known.keep(ledger, over - logged_out)


def holders(known: Known, target: Target) -> Iterator[str]:
    """Tell who has a volume that is about to go, each in words.

    Args:
        known: what is known about it.
        target: what exports it.
    """
    written = dataclasses.replace(
        known.ledger,
        connections=tuple(
            connection for connection in known.ledger.connections if connection.shown
        ),
    )
    attached = {grant.initiator for grant in grants(known.attachments, written)}
    live = target.read(known.target).connected - attached
    yield from (f"{initiator} has an attachment" for initiator in sorted(attached))
    yield from (f"{initiator} is logged in" for initiator in sorted(live))
    for attachment in known.attachments:
        if not attachment.readable:
            yield f"attachment {attachment.id} cannot be read"
