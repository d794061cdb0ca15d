# SPDX-License-Identifier: Apache-2.0
"""The grants of a volume: what its attachments and the driver's answers come to."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from taikun_cinder.access.attachment import (
    Attachment,
    Connection,
    read_only_by_nameless,
)
from taikun_cinder.access.model import (
    Credentials,
    Grant,
    Initiator,
    Mode,
    highest,
)


class Answers(Protocol):
    """What the driver answered and no attachment shows; see ``ledger.Ledger``."""

    @property
    def connections(self) -> tuple[Connection, ...]:
        """What was granted, oldest first."""
        ...

    @property
    def ended(self) -> Mapping[tuple[str, str | None], float]:
        """When each ended attachment was ended, by its key."""
        ...

    @property
    def current(self) -> Mapping[Initiator, Credentials]:
        """The credentials that each initiator was told last."""
        ...


def grants(attachments: Iterable[Attachment], answers: Answers) -> frozenset[Grant]:
    """Give the grants of one volume: one for each initiator that has a connection.

    An initiator sees the disks that its connections were given. It may write to the
    main one if any of those that have it may. An attachment without
    credentials gives no grant by itself: no host was ever told any, since Cinder stores
    them before it answers.

    Args:
        attachments: all of the volume's, oldest first.
        answers: what they do not show.
    """
    attachments = tuple(attachments)
    known: dict[Initiator, list[Credentials]] = {}
    modes: dict[Initiator, list[Mode]] = {}
    readers: set[Initiator] = set()
    undecided = {
        connection.identity
        for connection in answers.connections
        if connection.undecided
    }
    for attachment in attachments:
        initiator = attachment.initiator
        if not attachment.connected or initiator is None:
            continue
        if attachment.key in answers.ended:
            continue
        if attachment.has_readers_disk:
            readers.add(initiator)
        mode = attachment.main_mode(decided=attachment.identity not in undecided)
        if mode is not None:
            modes.setdefault(initiator, []).append(mode)
        if attachment.credentials is not None:
            known.setdefault(initiator, []).append(attachment.credentials)
    read_only = read_only_by_nameless(attachments, answers.connections)
    for connection in (one for one in answers.connections if not one.idle):
        grant = connection.grant
        if grant.readers_disk:
            readers.add(grant.initiator)
        if grant.mode is not None:
            mode = Mode.RO if connection in read_only else grant.mode
            modes.setdefault(grant.initiator, []).append(mode)
        known.setdefault(grant.initiator, []).append(grant.credentials)
    return frozenset(
        Grant(
            initiator,
            _chosen(pairs, answers.current.get(initiator)),
            highest(modes.get(initiator, ())),
            initiator in readers,
        )
        for initiator, pairs in known.items()
    )


def _chosen(pairs: Sequence[Credentials], current: Credentials | None) -> Credentials:
    """Give the pair that a host uses, of those that its connections have."""
    told = [pair for pair in pairs if pair.known] or pairs
    return current if current is not None and current in told else told[-1]
