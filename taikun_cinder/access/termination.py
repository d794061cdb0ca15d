# SPDX-License-Identifier: Apache-2.0
"""What a termination means, of all that a host has of one volume.

A host's attachments share one access, so the question is only whether the last one
ends. The answer has to be right in spite of detaches at the same time, and of detaches
that are repeated because the answer or the row's deletion was lost:

- A termination ends the attachment, or the connection, that has its ``identity``, if
  that is one attachment alone. With marked connectors it always is. So two detaches end
  two attachments, in any order and however close together, and one detach, however
  often repeated, ends one.
- Several attachments may have the same identity (taken over from the in-tree driver:
  two servers on one host, attached at the same mount point). Then a second termination
  cannot be told from a repeated one, and none of them is ended: the deletion of the
  row, which follows, settles it. Two such detaches one after the other find two rows,
  then one, and end it. Two at once leave the access to the reconcile, since no row
  wants it then.
- A mark that is another volume's may be on a connector of Cinder's own, see
  :func:`_cinders_own`. It ends a connection without a server that was made with it.
- A connector without a mark (Cinder's old API, an operator who fences a host off) ends
  a connection without a row that was made with the same connector; they are all alike.
  If there is none, but a connection of which it is not known by what connector it was
  made (``Ledger.adopt``), that. Otherwise it ends what the host has if that is one
  thing alone. If the host has several, it cannot be told which one is meant: nothing
  ends before the deletion of the row, which follows. An attached host never loses its
  disk (law 1); a detached one keeps its access for two reconcile intervals at most.
- The same call without a mark within a minute is taken for a repeated one. It ends
  nothing, since by then the only thing that the host has may be another server's. But a
  connection that was made with the same connector is ended, unless there are more
  attachments without a connector than connections: then it was ended already, and its
  row is not deleted yet.
- A call that ended nothing may belong to os-force_detach or os-detach, which delete an
  attachment next, whose id the driver does not learn. It learns that much by
  remove_export, which comes in between. Then the attachment of that host is ended, if
  it is the only one and none of the host's waits for its row's deletion, nor did when
  the call came (:func:`settled`): so both of two attachments that are force-detached
  one after the other are ended before Cinder answers. os-force_detach terminates and
  deletes in one request, so remove_export is surely its own if it has the same
  request's id. One of another request may be os-detach's, or a failed attach's of
  anybody. It counts only for a call that is not taken for a repeated one, and not after
  a detach that says what it means.
- By force Cinder ends a connection of its own (a backup, an image copy, a migration),
  and nobody else ends anything so, in Cinder 26 to 29. So such a call without a mark
  never ends an attachment, nor a connection that may be for one. If the connection that
  it is for is gone, or unknown, it ends nothing, and the reconcile settles the rest.
"""

import dataclasses
import math
from collections.abc import Collection, Iterable, Mapping, Sequence

from taikun_cinder.access.attachment import Attachment, Connection
from taikun_cinder.access.model import Initiator

#: How long a call without a mark is taken for a repeated one, in seconds.
REPEATED_WITHIN = 60.0

#: Stands for an attachment's id where an answered termination is noted that had no
#: mark, see ``Ledger.ended``: one that meant a connection by its whole connector, and
#: any other one.
EXACT, OTHER = "terminated exactly", "terminated"

#: Stands there with the identity of the connector of a termination that was noted as
#: ``OTHER``, and ended something. The same call once more is only repeated.
DONE = "done"

#: Stands there with the name of an initiator of which a termination ended nothing.
OPEN = "open"

#: Stands there with :func:`asked`, of a termination without a mark that ended nothing.
#: Not of one by force: os-force_detach does not ask for that, but Cinder does where it
#: ends a connection of its own, and its remove_export is for no attachment.
ASKED = "asked"

#: How long after such a termination Cinder may be about to delete the row that it was
#: for, in seconds: os-detach and os-force_detach do so at once.
DELETED_WITHIN = 10.0

#: See ``Ledger.ended``.
Noted = Mapping[tuple[str, str | None], float]


@dataclasses.dataclass(frozen=True)
class Termination:
    """A request to end a connection.

    Attributes:
        initiator: the host's.
        identity: of the connector.
        now: when, by the clock of the ledger.
        marked: whether the connector has the driver's mark.
        force: whether Cinder ends a connection of its own.
        connector: the identity of the connector without its mark; empty if it is not
            known.
    """

    initiator: Initiator
    identity: str
    now: float
    marked: bool = True
    force: bool = False
    connector: str = ""


@dataclasses.dataclass(frozen=True)
class Meant:
    """What a termination ends.

    Attributes:
        attachments: the rows that count no more.
        connections: those that are over.
        note: what to remember of it, see ``EXACT``; None for nothing.
        is_clear: whether it is known what it was about, though that was over.
    """

    attachments: Sequence[Attachment] = ()
    connections: Sequence[Connection] = ()
    note: str | None = None
    is_clear: bool = False


def meant(
    termination: Termination,
    attachments: Collection[Attachment],
    connections: Collection[Connection],
    ended: Noted,
    gone: Collection[str] = (),
) -> Meant:
    """Tell what a termination ends.

    Args:
        termination: the request.
        attachments: all of the volume's.
        connections: those that no attachment shows.
        ended: see ``Ledger.ended``.
        gone: the ids of attachments that are not there, of those that connections may
            be for. A connection of which all are gone keeps nobody in.
    """
    rows = [
        attachment
        for attachment in attachments
        if attachment.connected and attachment.initiator == termination.initiator
    ]
    own = _of(connections, str(termination.initiator))
    nameless = [row for row in attachments if row.connected and row.initiator is None]
    waiting = {row.id for row in attachments if not row.connected}
    found = None
    if termination.marked or not termination.force:
        found = _named(termination, rows, connections, own, nameless, waiting)
    if found is None and (termination.marked or termination.force):
        unnamed = [row for row in attachments if row.initiator is None]
        found = _cinders_own(termination, connections, own, unnamed)
    elif found is None:
        found = _made_alike(termination, connections, own, nameless, ended)
        found = found or _made_unknown(termination, own, ended)
        found = found or _all_there_is(termination, rows, own, ended, gone)
    return found or Meant()


def settled(
    attachments: Collection[Attachment],
    connections: Collection[Connection],
    ended: Noted,
    now: float,
    request: str,
    gone: Collection[str] = (),
) -> Meant:
    """Tell what the termination before a remove_export meant.

    Args:
        attachments: all of the volume's.
        connections: those that no attachment shows.
        ended: see ``Ledger.ended``.
        now: by the clock of the ledger.
        request: the id of Cinder's request that the remove_export is a part of; empty
            if it is not known. A request that somebody repeats has another id.
        gone: see ``meant``.
    """
    rows: dict[Initiator, list[Attachment]] = {}
    for row in attachments:
        if row.connected and row.initiator is not None:
            rows.setdefault(row.initiator, []).append(row)
    hosts = [host for host in rows if (ASKED, asked(request, host)) in ended]
    for host in hosts or _opened(rows, ended, now):
        own = _of(connections, str(host))
        waits = any(row.key in ended for row in rows[host])
        if len(rows[host]) == 1 and not waits and not _standing(own, gone):
            return Meant(rows[host], own)
    return Meant()


def _opened(hosts: Iterable[Initiator], ended: Noted, now: float) -> list[Initiator]:
    """Give the hosts whose attachment Cinder may be about to delete."""
    since = {host: ended.get((OPEN, str(host)), -math.inf) for host in hosts}
    return [host for host in hosts if now - since[host] <= DELETED_WITHIN]


def asked(request: str, initiator: Initiator) -> str:
    """Give what is noted with ``ASKED``: the request's id, and whom it is about."""
    return f"{request} {initiator}"


def _of(connections: Collection[Connection], name: str) -> list[Connection]:
    return [one for one in connections if str(one.grant.initiator) == name]


def _named(
    termination: Termination,
    rows: list[Attachment],
    connections: Collection[Connection],
    own: list[Connection],
    nameless: Collection[Attachment],
    waiting: Collection[str],
) -> Meant | None:
    """Give what has the identity; ``waiting`` are ids of rows without a connector."""
    named = [row for row in rows if row.identity == termination.identity]
    exact = [one for one in own if one.identity == termination.identity]
    if not named and not exact:
        return None
    if len(named) > 1:
        return Meant()
    if _may_be_nameless(termination, connections, nameless):
        return Meant(named, exact)  # what is alike may be such an attachment's
    # A request that was repeated, since its first answer was lost. But the answer may
    # be for another attachment of the server, which comes back to the host.
    servers = {row.server for row in named}
    alike = [
        one
        for one in own
        if one.loose and one.server in servers and one.connector
        if one.rows.isdisjoint(waiting)
        if one.connector == termination.connector and one not in exact
    ]
    return Meant(named, [*exact, *alike])


def _may_be_nameless(
    termination: Termination,
    connections: Collection[Connection],
    unnamed: Collection[Attachment],
) -> bool:
    """Say whether one of the attachments that name no host may be the host's."""
    others = {one.grant.initiator for one in _loose(connections)}
    others.discard(termination.initiator)
    return len(unnamed) > len(others)


def _cinders_own(
    termination: Termination,
    connections: Collection[Connection],
    own: list[Connection],
    unnamed: Collection[Attachment],
) -> Meant:
    """Give a connection of Cinder's own that was made with the connector.

    Cinder connects both volumes of a migration by one dictionary, and it has the mark
    of the one that was connected in the same process, for both of them
    (manager._copy_volume_data). If there is none, it may be one of which it is not
    known by what connector it was made, and that cannot be an attachment's.
    """
    cinders = [one for one in own if one.server is None and not one.shown]
    alike = [one for one in cinders if one.connector == termination.connector]
    alike.sort(key=lambda one: one.idle)  # one that gives something is sooner meant
    if not alike and not _may_be_nameless(termination, connections, unnamed):
        alike = [one for one in cinders if not one.connector]
    return Meant((), alike[:1])


def _made_alike(
    termination: Termination,
    connections: Collection[Connection],
    own: list[Connection],
    nameless: Collection[Attachment],
    ended: Noted,
) -> Meant | None:
    """Give the oldest connection without a row that was made with the connector.

    Cinder's own are ended by force, so they are meant last, and account for no row.
    """
    unshown = [one for one in own if not one.shown]
    alike = [one for one in unshown if one.connector == termination.identity]
    if not alike:
        return None
    alike.sort(key=lambda one: not one.may_be_rowed)
    rowed = [
        one for one in connections if one.may_be_rowed or not alike[0].may_be_rowed
    ]
    late = len(nameless) > len(_loose(rowed))
    if late and _is_noted(EXACT, termination, ended):
        return Meant()
    return Meant((), alike[:1], EXACT)


def _made_unknown(
    termination: Termination, own: list[Connection], ended: Noted
) -> Meant | None:
    """Give the oldest connection of which it is not known by what it was made."""
    unknown = [connection for connection in _loose(own) if not connection.connector]
    if not unknown:
        return None
    repeated = _is_noted(OTHER, termination, ended)
    return Meant() if repeated else Meant((), unknown[:1], OTHER)


def _all_there_is(
    termination: Termination,
    rows: list[Attachment],
    own: list[Connection],
    ended: Noted,
    gone: Collection[str],
) -> Meant:
    """Give what the host has, if it is one thing alone."""
    if _is_noted(EXACT, termination, ended):
        return Meant()
    live = [row for row in rows if row.key not in ended]
    if not (live or own):
        return Meant()
    if len(live) < len(rows):
        # One was ended and its row is still there: it is what this call is about.
        # So no remove_export tells more, when that row is gone and another is alone.
        return Meant(note=OTHER, is_clear=True)
    left = len(live) + len(_standing(own, gone))
    alone = left == 1 or (left == 0 and bool(_loose(own)))
    if not alone or _is_noted(OTHER, termination, ended):
        return Meant(note=OTHER)
    return Meant(live, own, OTHER)


def _loose(connections: Collection[Connection]) -> list[Connection]:
    return [connection for connection in connections if connection.loose]


def _standing(
    connections: Collection[Connection], gone: Collection[str]
) -> list[Connection]:
    """Give those that may be an attachment's still, or Cinder's own."""
    return [one for one in _loose(connections) if not one.lost_rows(gone)]


def is_repeated(termination: Termination, ended: Noted) -> bool:
    """Say whether the same call ended something a while ago."""
    return _is_noted(DONE, termination, ended)


def _is_noted(note: str, termination: Termination, ended: Noted) -> bool:
    since = ended.get((note, termination.identity))
    return since is not None and termination.now - since <= REPEATED_WITHIN
