# SPDX-License-Identifier: Apache-2.0
"""Access that nothing asks for any more, and what becomes of it."""

import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from taikun_cinder.access.attachment import Connection
from taikun_cinder.access.fence import unfenced
from taikun_cinder.access.grants import grants
from taikun_cinder.access.ledger import Ledger
from taikun_cinder.access.model import Export, Grant, Initiator
from taikun_cinder.known import Known
from taikun_cinder.targets.base import Result, Target

#: Gives those of a volume's live initiators that keep their access for now, see
#: ``brake.Brake.hold``.
Hold = Callable[[str, Collection[Initiator]], Collection[Initiator]]

#: Gives those of a volume's missing attachments that are missing for good, see
#: ``brake.Brake.missed``.
Missed = Callable[[str, Collection[str]], Collection[str]]


def spared(
    volume: Any,
    known: Known,
    ledger: Ledger,
    about: Collection[Initiator],
    target: Target,
    hold: Hold | None,
    *,
    certain: bool = False,
) -> frozenset[Grant]:
    """Give what is granted, with what nothing asks for any more and that stays for now.

    A request ends what it is about, and what Cinder says that it has deleted. A fence
    ends all that its host has. All else that is only missing is left to the reconcile
    and its brake.

    Args:
        volume: Cinder's.
        known: what is known about it.
        ledger: the one to go by from now on.
        about: whose access a request ends.
        target: what exports the volume.
        hold: the reconcile's; None for a request.
        certain: whether the request ends its host's access even where an attachment
            that cannot be read, or that is only missing, may be that host's, too.
    """
    asked = {grant.initiator: grant for grant in grants(known.attachments, ledger)}
    lost = {had.initiator: had for had in known.had if _loses(had, asked)}
    lost = {one: had for one, had in lost.items() if one not in known.fenced}
    doubtful = {
        one
        for one in lost
        if not certain
        if _may_be_of_broken(known, one)
        or (one in about and _has_missing(known, ledger, one))
    }
    others = lost.keys() - about - doubtful
    others -= _gone(known, ledger, others)
    kept = doubtful.union(_held(volume, known, target, hold, others))
    for initiator in kept:
        now = asked.get(initiator)
        had = lost[initiator]
        asked[initiator] = had if now is None else now.joined(had)
    return frozenset(asked.values())


def _loses(had: Grant, asked: Mapping[Initiator, Grant]) -> bool:
    """Say whether a host gets less than it had."""
    now = asked.get(had.initiator)
    return now is None or now.joined(had) != now


def _held(
    volume: Any,
    known: Known,
    target: Target,
    hold: Hold | None,
    lost: Collection[Initiator],
) -> Collection[Initiator]:
    """Give the hosts of missing attachments that keep what they had for now."""
    if hold is None or not lost:
        return lost
    live = target.read(known.target).connected
    return hold(volume["id"], [initiator for initiator in lost if initiator in live])


def _may_be_of_broken(known: Known, initiator: Initiator) -> bool:
    """Say whether an attachment that cannot be read may be a host's.

    It is, if it is known to have been. If it names nobody, and is not known to have
    been another's, it may be any host's of which no attachment is known.
    """
    own = known.had_attachments(initiator)
    others = known.all_had_attachments - own
    return any(
        attachment.id in own
        or attachment.initiator == initiator
        or not (own or attachment.initiator or attachment.id in others)
        for attachment in known.attachments
        if not attachment.readable
    )


def _has_missing(known: Known, ledger: Ledger, initiator: Initiator) -> bool:
    """Say whether a host had attachments that nobody has ended, and are missing."""
    missing = known.had_attachments(initiator) - known.present
    return bool(missing - _over(known, ledger))


def _gone(
    known: Known, ledger: Ledger, initiators: Collection[Initiator]
) -> frozenset[Initiator]:
    """Give the hosts that have lost nothing but what somebody has ended.

    That is an attachment that a request has ended, that is another host's by now, or
    that Cinder has marked as deleted. One that is only missing may be in a later copy
    of the database.
    """
    seen = {attachment.initiator for attachment in known.attachments}
    seen |= {one.grant.initiator for one in ledger.connections if not one.idle}
    seen |= {one.grant.initiator for one in _before(known) if _is_deleted(known, one)}
    missing = {one: known.had_attachments(one) - known.present for one in initiators}
    unseen = _unseen(known, ledger)
    return frozenset(
        one
        for one in initiators
        if known.had_attachments(one) or one in seen
        if missing[one] <= known.deleted and one not in unseen
    )


def _unseen(known: Known, ledger: Ledger) -> frozenset[Initiator]:
    """Give the hosts of connections that expired before any attachment showed them."""
    since = {connection.identity for connection in ledger.connections}
    since.update(one.identity for one in known.attachments if one.identity)
    return frozenset(
        connection.grant.initiator
        for connection in _before(known)
        if connection.loose and connection.identity not in since
        if not _is_deleted(known, connection)
    )


def _before(known: Known) -> Collection[Connection]:
    return known.record.ledger.connections if known.record else ()


def _is_deleted(known: Known, connection: Connection) -> bool:
    return connection.loose and connection.lost_rows(known.deleted)


def taken_up(known: Known, initiators: Collection[Initiator]) -> Ledger:
    """Give the ledger for hosts that are about to be let in.

    One may still be let in though nothing wants it: its row was deleted, and nobody
    told the driver. It may be logged in, so that it goes on with the pair that it has.
    """
    left = known.let_in.intersection(initiators)
    if not left:
        return known.ledger
    left -= {grant.initiator for grant in grants(known.attachments, known.ledger)}
    gone = _gone(known, known.ledger, left)
    ledger = known.ledger.with_attachments_of(gone, known.attachments)
    return known.keep(ledger, left)


def remembered(
    known: Known, ledger: Ledger, export: Export | None, result: Result, now: float
) -> Ledger:
    """Give the ledger with what is to be known of hosts that lost something.

    That is the pair of one that was cut off while logged in: it was, unless it was seen
    that it was not; after a crash or a reboot nobody saw. And it is which attachments
    one had that keeps something though they are missing.

    Args:
        known: what was known before.
        ledger: what is to be kept.
        export: what is exported by now.
        result: of making it so.
        now: by the clock of the ledger.
    """
    shown = export.grant_of if export else {}
    ledger = ledger.without_attachments(_over(known, ledger))
    out = ledger.attachments.keys() - shown.keys()
    ledger = ledger.with_attachments_of(out, known.attachments)
    over = known.let_in - shown.keys()
    before = known.record.ledger if known.record else ledger
    logged_out = result.logged_out - before.lost(now)
    return known.keep(ledger, over - logged_out)


def _over(known: Known, ledger: Ledger) -> frozenset[str]:
    """Give the ids of attachments that a request has ended, or Cinder has deleted.

    All others that are missing may be in a later copy of the database.
    """
    ended = frozenset(attachment for attachment, _identity in ledger.ended)
    return ended | known.deleted


def accepted(
    volume: Any, known: Known, ledger: Ledger, export: Export | None, missed: Missed
) -> Ledger:
    """Give the ledger without attachments that are missing for good.

    That is, of hosts that lose nothing by it; the brake decides about the others.

    Args:
        volume: Cinder's.
        known: what was known before.
        ledger: what is to be kept.
        export: what is exported by now.
        missed: see :data:`Missed`.
    """
    shown = export.grant_of if export else {}
    asked = {grant.initiator: grant for grant in grants(known.attachments, ledger)}
    same = {host for host, grant in shown.items() if asked.get(host) == grant}
    had = (ids for host, ids in ledger.attachments.items() if host in same)
    gone = frozenset().union(*had) - known.present
    return ledger.without_attachments(missed(volume["id"], gone))


def holders(known: Known, target: Target) -> Iterator[str]:
    """Tell who has a volume that is about to go, each in words.

    Args:
        known: what is known about it.
        target: what exports it.
    """
    written = dataclasses.replace(
        unfenced(known.ledger),  # one that was cut off has its attachment all the same
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
