# SPDX-License-Identifier: Apache-2.0
"""What a connector says about the host that wants a volume."""

from collections.abc import Mapping
from typing import Any

from rtslib_fb.utils import RTSLibError, normalize_wwn

from taikun_cinder.access.model import Initiator
from taikun_cinder.exception import InvalidInitiator, UnknownInitiator

#: The kinds of names that LIO's iSCSI takes (rtslib_fb/fabric.py, ISCSIFabricModule).
_KINDS = ("iqn", "naa", "eui")

#: RFC 7143, 4.2.7.1, in bytes; the kernel keeps as many and a zero byte.
_LONGEST = 223


def initiator_to_attach(connector: Any) -> Initiator:
    """Give the initiator that a connector asks access for.

    Raises:
        InvalidInitiator: it names none, or one that LIO would refuse.
    """
    name = _initiator(connector)
    if name is None:
        raise InvalidInitiator(
            host=host_of(connector), cause="its connector has no 'initiator'"
        )
    if not isinstance(name, str) or not _is_valid(name):
        raise InvalidInitiator(
            host=host_of(connector),
            cause=f"LIO takes no initiator with the name {name!r}",
        )
    return Initiator(name)


def initiator_to_detach(volume_id: str, connector: Any) -> Initiator:
    """Give the initiator whose access a connector asks to end.

    Its form is not checked: what LIO would refuse has no access, and to end that is
    no error.

    Raises:
        UnknownInitiator: it names none.
    """
    name = _initiator(connector)
    if name is None:
        raise UnknownInitiator(volume=volume_id, host=host_of(connector))
    return Initiator(str(name))


def host_of(connector: Any) -> str:
    """Give the name that people know the connector's host by."""
    if not isinstance(connector, Mapping):
        return "(unnamed)"
    return str(connector.get("host") or connector.get("ip") or "(unnamed)")


def _initiator(connector: Any) -> object:
    if not isinstance(connector, Mapping):
        return None
    return connector.get("initiator") or None


def _is_valid(name: str) -> bool:
    if not _fits_a_file_name(name):
        return False
    try:
        normal, _kind = normalize_wwn(_KINDS, name)
    except RTSLibError:
        return False
    # rtslib mends what a host would not log in with: blanks around, "0x", a missing
    # "naa.". Such an ACL would be found by no name that Cinder knows.
    return bool(normal == name.lower())


def _fits_a_file_name(name: str) -> bool:
    # configfs makes a folder of it, as root. rtslib lets slashes and lines pass.
    return (
        name.isprintable() and "/" not in name and len(name.encode("utf-8")) <= _LONGEST
    )
