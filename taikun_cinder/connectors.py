# SPDX-License-Identifier: Apache-2.0
"""The parts of a connector that say which host wants a volume."""

import json
import re
from collections.abc import Mapping
from typing import Any

from taikun_cinder import words
from taikun_cinder.access.machine import Machine
from taikun_cinder.access.model import Initiator
from taikun_cinder.exception import InvalidConnector, UnknownInitiator

#: The key of a connector for the UUID of its machine's firmware
#: (os_brick/initiator/connectors/nvmeof.py, get_connector_properties).
_SYSTEM_UUID = "system uuid"

#: What a connector has only if it was sent for an attachment.
_OF_ATTACHMENTS = frozenset({"mode", "mountpoint"})

#: No host has a longer name.
_LONGEST = 255

#: What Cinder writes into columns of their own when a host has been let in
#: (db.volume_attached); they have 255 characters.
_COLUMNS = ("host", "mountpoint")
#: Cinder makes its tables with MySQL's older utf8, which ends at U+FFFF. No database
#: takes half of a surrogate pair, and PostgreSQL no NUL.
_FITS = re.compile(r"[\x01-\ud7ff\ue000-\uffff]{0,255}")
#: The column for the whole has 64 KiB in MySQL. The driver adds its marks.
_LONGEST_WHOLE = 60000


def check(connector: Any) -> None:
    """Refuse a connector that Cinder could not write down.

    Cinder tries to when the driver has let the host in, and fails the request then: the
    host would keep its access until somebody deletes the attachment.

    Raises:
        InvalidConnector: it could not.
    """
    if not isinstance(connector, Mapping):
        return
    for key in _COLUMNS:
        text = connector.get(key)
        if text is not None and not (isinstance(text, str) and _FITS.fullmatch(text)):
            _refuse(
                connector,
                f"its '{key}' must be text of at most {_LONGEST} characters, without "
                "NUL and any beyond U+FFFF",
            )
    if len(json.dumps(connector, default=str)) > _LONGEST_WHOLE:
        _refuse(connector, f"it is longer than {_LONGEST_WHOLE} bytes")


def _refuse(connector: Mapping[str, Any], cause: str) -> None:
    raise InvalidConnector(host=host_of(connector), cause=cause)


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


def names_attachment(connector: Mapping[str, Any]) -> bool:
    """Say whether a connector was sent for an attachment that Cinder has already.

    Who uses the attachments API names the device of the server (Nova, cinderclient,
    openstackclient), and Cinder's manager adds the mode that the attachment's row says
    (manager.attachment_update). Clients of the old API name both after they were
    answered (os-attach), and Cinder's own connectors are os-brick's, which have
    neither.
    """
    return not _OF_ATTACHMENTS.isdisjoint(connector)


def machine_of(connector: Any) -> Machine:
    """Give what a connector says of its machine."""
    if not isinstance(connector, Mapping):
        return Machine()
    keys = ("host", "ip", _SYSTEM_UUID)
    return Machine(*(printable(connector.get(key) or "") for key in keys))


def host_of(connector: Any) -> str:
    """Give the name that people know the connector's host by."""
    if not isinstance(connector, Mapping):
        return "(unnamed)"
    return printable(connector.get("host") or connector.get("ip") or "(unnamed)")


def printable(said: object) -> str:
    """Give a client's words as they can be in one line of a log.

    The initiator of a detach is such words, too: nobody has checked it.
    """
    return words.printable(str(said)[:_LONGEST])
