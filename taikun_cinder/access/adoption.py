# SPDX-License-Identifier: Apache-2.0
"""What a target knows and the attachments do not, where there is no ledger."""

from collections.abc import Collection, Iterable, Iterator, Mapping

from taikun_cinder.access.attachment import Attachment, Connection
from taikun_cinder.access.model import (
    Credentials,
    Grant,
    HostState,
    Initiator,
    Mode,
    Sealed,
)


def adopted(
    attachments: Collection[Attachment],
    hosts: Mapping[Initiator, HostState],
    now: float,
) -> tuple[tuple[Connection, ...], Mapping[Initiator, Credentials]]:
    """Give the connections to take over, and the credentials that each host has.

    Args:
        attachments: all of the volume's.
        hosts: what the target knows.
        now: by the clock of the ledger.
    """
    # The in-tree driver has one pair for all hosts of a volume.
    pairs = [one.credentials for one in attachments if one.credentials is not None]
    had = {
        initiator: _opened(host.credentials, pairs)
        for initiator, host in hosts.items()
        if host.credentials
    }
    without_pair = _of_attachments(attachments, had, now)
    without_row = _of_hosts(attachments, hosts, had, now)
    return (*without_pair, *without_row), had


def _of_attachments(
    attachments: Collection[Attachment],
    had: Mapping[Initiator, Credentials],
    now: float,
) -> Iterator[Connection]:
    """Give those of attachments whose rows do not have the credentials."""
    told = _told(attachments)
    for attachment in attachments:
        initiator = attachment.initiator
        if (
            not attachment.connected
            or initiator is None
            or attachment.identity is None
            or attachment.credentials is not None
        ):
            continue
        credentials = had.get(initiator)
        if credentials is None or not credentials.known:
            credentials = told.get(initiator, credentials)
        if credentials is not None:
            grant = _grant_by(attachment, initiator, credentials)
            yield Connection(attachment.identity, grant, now)


def _of_hosts(
    attachments: Collection[Attachment],
    hosts: Mapping[Initiator, HostState],
    had: Mapping[Initiator, Credentials],
    now: float,
) -> Iterator[Connection]:
    """Give those of hosts without an attachment: Cinder's own, or nobody's by name."""
    nameless = any(
        attachment.connected and attachment.initiator is None
        for attachment in attachments
    )
    named = {attachment.initiator for attachment in attachments}
    for initiator in sorted(hosts.keys() - named):
        host = hosts[initiator]
        sees_it = host.mode is not None or host.readers_disk
        if initiator in had and (nameless or (host.connected and sees_it)):
            mode = host.mode if sees_it else Mode.RW
            grant = Grant(initiator, had[initiator], mode, host.readers_disk)
            yield Connection(f"adopted {initiator}", grant, now)


def _opened(shown: Credentials | Sealed, known: Iterable[Credentials]) -> Credentials:
    return shown.opened(known) if isinstance(shown, Sealed) else shown


def _grant_by(
    attachment: Attachment, initiator: Initiator, credentials: Credentials
) -> Grant:
    mode = None if attachment.readers_disk else attachment.mode
    return Grant(initiator, credentials, mode, attachment.readers_disk)


def _told(attachments: Iterable[Attachment]) -> Mapping[Initiator, Credentials]:
    return {
        attachment.initiator: attachment.credentials
        for attachment in attachments
        if attachment.connected
        and attachment.initiator is not None
        and attachment.credentials is not None
    }
