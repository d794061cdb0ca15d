# SPDX-License-Identifier: Apache-2.0
"""The parts of a connector that say which host wants a volume."""

from collections.abc import Mapping
from typing import Any

from taikun_cinder.access.machine import Machine
from taikun_cinder.access.model import Initiator
from taikun_cinder.exception import UnknownInitiator

#: The key of a connector for the UUID of its machine's firmware
#: (os_brick/initiator/connectors/nvmeof.py, get_connector_properties).
_SYSTEM_UUID = "system uuid"

#: No host has a longer name.
_LONGEST = 255


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


def machine_of(connector: Any) -> Machine:
    """Give what a connector says of its machine."""
    if not isinstance(connector, Mapping):
        return Machine()
    keys = ("host", "ip", _SYSTEM_UUID)
    return Machine(*(_printable(connector.get(key) or "") for key in keys))


def host_of(connector: Any) -> str:
    """Give the name that people know the connector's host by."""
    if not isinstance(connector, Mapping):
        return "(unnamed)"
    return _printable(connector.get("host") or connector.get("ip") or "(unnamed)")


def _printable(said: object) -> str:
    """Give a client's words as they can be in one line of a log."""
    text = str(said)[:_LONGEST]
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)
