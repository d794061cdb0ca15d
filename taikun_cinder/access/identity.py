# SPDX-License-Identifier: Apache-2.0
"""The identity of a connection, among several of the same host.

Cinder does not tell a driver which attachment a call is for, but its manager stores
the connector of an attachment *after* the driver's initialize_connection, as the very
dictionary that the driver was given (manager._connection_create), and gives back what
it stored to terminate_connection (manager._connection_terminate). So a mark that the
driver leaves in a connector comes back with the detach of that attachment, and can be
read in its row at any time.

It does not come back where the connector went by RPC and the caller kept its own copy
(Cinder's old os-initialize_connection, and its own attaches to other hosts), nor of
course for attachments that the in-tree driver has made. Those are known by their whole
connector, which may be the same for several.
"""

import hashlib
import json
import secrets
from collections.abc import Mapping, MutableMapping
from typing import Any

from taikun_cinder.access.model import Initiator

#: What all keys begin with that the driver leaves in a connector.
_OURS = "taikun_cinder_"

#: The mark's key in a connector.
MARK = "taikun_cinder_connection"

#: The key in our connection_info's data for the initiator that it was made for
#: (``attachment.Attachment.credentials`` says what for).
MADE_FOR = "taikun_cinder_initiator"


def mark(connector: MutableMapping[str, Any]) -> str:
    """Mark a connector as a new connection's, and give its identity."""
    connector[MARK] = secrets.token_hex(8)
    return identity(connector)


def identity(connector: Mapping[str, Any]) -> str:
    """Give the identity of a connector's connection; the same if the connector is."""
    if is_marked(connector):
        return f"mark {connector[MARK]}"
    return unmarked(connector)


def unmarked(connector: Mapping[str, Any]) -> str:
    """Give the identity that a connector has without what the driver left in it."""
    given = {
        key: value for key, value in connector.items() if not key.startswith(_OURS)
    }
    text = json.dumps(given, sort_keys=True, default=str)
    return f"connector {hashlib.sha256(text.encode()).hexdigest()}"


def is_marked(connector: Mapping[str, Any]) -> bool:
    """Say whether it was this driver that made the connection."""
    return isinstance(connector.get(MARK), str)


def is_made_for(
    initiator: Initiator | None,
    connector: Mapping[str, Any],
    data: Mapping[str, Any],
) -> bool:
    """Say whether the data of a row's connection_info belong to its connector.

    Cinder's manager writes the connector, and its API the connection_info, later.

    Args:
        initiator: the one that the connector names; None if it names none.
        connector: the row's.
        data: of the row's connection_info.
    """
    if not is_marked(connector):
        return MADE_FOR not in data
    made_for = Initiator(str(data.get(MADE_FOR, "")))
    return made_for == (initiator or Initiator(""))
