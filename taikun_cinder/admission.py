# SPDX-License-Identifier: Apache-2.0
"""What a new connection may do, by all that is known about its volume."""

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

from taikun_cinder import connectors
from taikun_cinder.access.grants import Memory
from taikun_cinder.access.model import Grant, Initiator, Mode
from taikun_cinder.access.rows import Row
from taikun_cinder.access.rules import RefusedError, Request, Rule, decide
from taikun_cinder.access.uses import users, uses
from taikun_cinder.exception import AttachmentRefused

#: The statuses of a volume that its users attach, or may. In others it is Cinder itself
#: that connects to it.
_ATTACHING = ("reserved", "attaching", "in-use")


@dataclasses.dataclass(frozen=True)
class Terms:
    """What is asked for, and what is allowed.

    Attributes:
        asked: the mode; None if the attachment's row will say.
        rule: the volume's.
    """

    asked: Mode | None
    rule: Rule


@dataclasses.dataclass(frozen=True)
class Admitted:
    """What a connection may do.

    Attributes:
        mode: its mode; None if its row will say.
        user: whom it is for, see ``Flight``.
        identity: of its connector.
    """

    mode: Mode | None
    user: str | None
    identity: str

    def is_final(self, grant: Grant) -> bool:
        """Say whether no row can change what the host may do.

        A row can if the connection has none that names it, or none yet that says its
        mode, or if the host may write because of what that row said before.

        Args:
            grant: its host's, by all connections that it has.
        """
        if self.user is None:
            return True
        return self.user != self.identity and self.mode is grant.mode


def admit(
    volume: Any,
    connector: Mapping[str, Any],
    identity: str,
    terms: Terms,
    rows: Collection[Row],
    memory: Memory,
) -> Admitted:
    """Decide on a new connection.

    Raises:
        AttachmentRefused: the volume's rule is against it.
    """
    initiator = Initiator(connector["initiator"])
    whom = users(rows, memory, initiator)
    if not whom and volume["status"] in _ATTACHING:
        # Cinder's os-initialize_connection, which has no row before os-attach.
        whom = frozenset({identity})
    if not whom:
        # It writes to read-only volumes, too, when it restores a backup.
        return Admitted(Mode.RW, None, identity)
    request = Request(initiator, whom, terms.asked)
    try:
        mode = decide(terms.rule, request, tuple(uses(rows, memory)))
    except RefusedError as error:
        raise AttachmentRefused(
            volume=volume["id"], host=connectors.host_of(connector), cause=error
        ) from error
    only = next(iter(whom)) if len(whom) == 1 else identity
    return Admitted(mode, only, identity)
