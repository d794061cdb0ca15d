# SPDX-License-Identifier: Apache-2.0
"""The servers that use a volume, for the rules; and the server of a new connection."""

from collections.abc import Iterable, Iterator

from taikun_cinder.access.attachment import Attachment, Connection
from taikun_cinder.access.grants import grants
from taikun_cinder.access.ledger import Ledger
from taikun_cinder.access.machine import UNKNOWN, Machine
from taikun_cinder.access.model import Grant, Initiator, Mode
from taikun_cinder.access.rules import Use


def uses(attachments: Iterable[Attachment], ledger: Ledger) -> Iterator[Use]:
    """Give the connections of a volume, without those of Cinder itself."""
    attachments = tuple(attachments)
    connections = {connection.identity: connection for connection in ledger.connections}
    for attachment in attachments:
        if attachment.connected and attachment.key not in ledger.ended:
            connection = None
            if attachment.identity:
                connection = connections.pop(attachment.identity, None)
            writes = connection.writes if connection else attachment.mode is Mode.RW
            writes = writes or attachment.keeps.mode is Mode.RW
            undecided = connection is not None and connection.undecided
            yield Use(attachment.server, attachment.initiator, writes, undecided)
    ids = {attachment.id for attachment in attachments}
    for connection in connections.values():
        if connection.server is not None and not connection.idle:
            yield Use(
                connection.server,
                connection.grant.initiator,
                connection.writes,
                connection.undecided or _may_be_a_repeat(connection, attachments),
                not connection.rows or not connection.rows.isdisjoint(ids),
            )


def _may_be_a_repeat(connection: Connection, attachments: Iterable[Attachment]) -> bool:
    """Say whether a connection that no row shows may be of another server.

    If its host has the volume for another one, a repeated request of that one is taken
    for the first time of a server whose attachment waits for its connector.
    """
    return any(
        attachment.connected
        and attachment.initiator == connection.grant.initiator
        and attachment.server != connection.server
        for attachment in attachments
    )


def unasked(
    granted: Iterable[Grant], attachments: Iterable[Attachment], ledger: Ledger
) -> Iterator[Use]:
    """Give the uses of hosts that keep an access that nothing asks for.

    Their attachments are missing, or cannot be read, and they may be in use all the
    same. Which servers they are for is not known.

    Args:
        granted: what hosts have.
        attachments: all of the volume's.
        ledger: what they do not show.
    """
    asked = {grant.initiator: grant for grant in grants(attachments, ledger)}
    for grant in granted:
        now = asked.get(grant.initiator)
        if grant != now:
            writes = grant.mode is Mode.RW and (now is None or now.mode is not Mode.RW)
            yield Use(f"host {grant.initiator}", grant.initiator, writes)


def machines(
    attachments: Iterable[Attachment], ledger: Ledger, initiator: Initiator
) -> Iterator[Machine]:
    """Give the machines that use a volume by an initiator's name.

    One whose attachments are only missing uses it still.
    """
    own = [one for one in attachments if one.initiator == initiator]
    for attachment in own:
        if attachment.key not in ledger.ended:
            yield attachment.machine
    missing = not own and initiator in ledger.attachments
    if missing or any(one.grant.initiator == initiator for one in ledger.connections):
        yield ledger.machines.get(initiator, UNKNOWN)


def candidates(
    attachments: Iterable[Attachment], ledger: Ledger, initiator: Initiator
) -> frozenset[str]:
    """Give all servers that a new connection of an initiator may be for.

    It is for an attachment that has no connector yet. If something was answered for all
    of those, Cinder repeats a request: for one of them, or for one with its connector.
    One that another host has the answer for may have gone to this host since.

    Returns:
        the servers; none if no attachment names one.
    """
    attachments = tuple(attachments)
    waiting = [attachment for attachment in attachments if not attachment.connected]
    answered = [connection for connection in ledger.connections if not connection.shown]
    unanswered = list(waiting)
    for connection in answered:
        own = (one for one in unanswered if connection.may_be_of(one))
        if (its := next(own, None)) is not None:
            unanswered.remove(its)
    repeated = {
        connection.server
        for connection in answered
        if connection.grant.initiator == initiator
    }
    connected = [
        attachment.server
        for attachment in attachments
        if attachment.connected
        and attachment.initiator == initiator
        and attachment.key not in ledger.ended
    ]
    servers = {attachment.server for attachment in waiting}
    fresh = {attachment.server for attachment in unanswered} | (servers & repeated)
    return frozenset(fresh or servers.union(connected))
