# SPDX-License-Identifier: Apache-2.0
"""The parts of a connector that say which host wants a volume."""

from collections.abc import Mapping
from typing import Any

from taikun_cinder.access.model import Initiator
from taikun_cinder.exception import UnknownInitiator


def initiator_to_detach(volume_id: str, connector: Any, key: str) -> Initiator:
    """Give the initiator whose access a connector asks to end.

    Its form is not checked: what the target would refuse has no access, and to end that
    is no error.

    Args:
        volume_id: the volume.
        connector: the host's.
        key: of the host's name, see ``Target.connector_key``.

    Raises:
        UnknownInitiator: it names none.
    """
    name = name_in(connector, key)
    if name is None:
        raise UnknownInitiator(volume=volume_id, host=host_of(connector), key=key)
    return Initiator(str(name))


def name_in(connector: Any, key: str) -> object:
    """Give the host's name under a key of its connector; None if there is none."""
    if not isinstance(connector, Mapping):
        return None
    return connector.get(key) or None


def host_of(connector: Any) -> str:
    """Give the name that people know the connector's host by."""
    if not isinstance(connector, Mapping):
        return "(unnamed)"
    return str(connector.get("host") or connector.get("ip") or "(unnamed)")
