# SPDX-License-Identifier: Apache-2.0
"""The iSCSI side: the name of a host, and what it needs to connect."""

from collections.abc import Mapping, Sequence
from typing import Any

from taikun_cinder import connectors
from taikun_cinder.access.model import Grant, Initiator, Portal, Told
from taikun_cinder.exception import InvalidInitiator
from taikun_cinder.privsep import checks
from taikun_cinder.targets.lio.states import LUN, READERS_LUN

#: The key of a connector for the host's iSCSI name.
CONNECTOR_KEY = "initiator"

#: What an operator does about a host without a valid name.
_CURE = (
    "Give the host an InitiatorName like iqn.2026-11.com.example:name in "
    "/etc/iscsi/initiatorname.iscsi (iscsi-iname makes one), restart iscsid and the "
    "service that attaches (for servers: nova-compute)"
)


def initiator(connector: Any) -> Initiator:
    """Give the initiator that a connector asks access for.

    Raises:
        InvalidInitiator: it names none, or one that LIO would refuse.
    """
    name = connectors.name_in(connector, CONNECTOR_KEY)
    if isinstance(name, str) and _is_valid(name):
        return Initiator(name)
    cause = f"LIO takes no initiator with the name {name!r}"
    if name is None:
        cause = f"its connector has no '{CONNECTOR_KEY}'"
    raise InvalidInitiator(
        host=connectors.host_of(connector), protocol="iSCSI", cause=cause, cure=_CURE
    )


def location(name: str, portals: Sequence[Portal]) -> str:
    """Give a volume's ``provider_location``, as the in-tree driver writes it."""
    return f"{';'.join(map(str, portals))},{name} {name} {LUN}"


def connection(
    name: str,
    portals: Sequence[Portal],
    grant: Grant,
    *,
    readers_disk: bool,
    multipath: bool,
) -> tuple[str, dict[str, Any]]:
    """Give what a host needs to know to connect; see os-brick's iSCSI connector."""
    lun = READERS_LUN if readers_disk else LUN
    addresses = [str(portal) for portal in portals]
    data: dict[str, Any] = {
        "target_discovered": False,
        "target_portal": addresses[0],
        "target_iqn": name,
        "target_lun": lun,
        "auth_method": "CHAP",
        "auth_username": grant.credentials.username,
        "auth_password": grant.credentials.password,
    }
    if multipath or len(addresses) > 1:
        data["target_portals"] = addresses
        data["target_iqns"] = [name] * len(addresses)
        data["target_luns"] = [lun] * len(addresses)
    return "iscsi", data


def told(data: Mapping[str, Any]) -> Told | None:
    """Give where a connection_info sends its host; see :func:`connection`."""
    name = data.get("target_iqn")
    if not name:
        return None
    listed = data.get("target_portals")
    texts = [*(listed if isinstance(listed, list) else ()), data.get("target_portal")]
    return Told(str(name), frozenset(filter(None, map(_portal, texts))))


def _portal(text: object) -> Portal | None:
    address, _, port = str(text).rpartition(":")
    try:
        return Portal(address, int(port))
    except ValueError:
        return None


def _is_valid(name: str) -> bool:
    # Before it is put in lower case: letters of other alphabets can become ASCII.
    if not name.isascii():
        return False
    try:
        checks.initiator(name.lower())
    except ValueError:
        return False
    return True
