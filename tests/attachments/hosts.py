# SPDX-License-Identifier: Apache-2.0
"""Hosts that are not there: the connectors that they would send."""

import hashlib
import uuid
from typing import Any

#: Of RFC 5737, which are nobody's.
_ADDRESS = "203.0.113.{}"

#: Where a back end's answer has a password.
_PASSWORDS = ("auth_password", "discovery_auth_password")


def host(name: str, **more: Any) -> dict[str, Any]:
    """Give the connector of a host, always the same for a name.

    It has what back ends of iSCSI, Fibre Channel and NVMe ask for. Keys of ``more``
    replace others; those that are None are left out.
    """
    seed = hashlib.sha256(name.encode()).hexdigest()
    said = {
        "host": f"attachments-suite-{name}",
        "ip": _ADDRESS.format(1 + int(seed[:2], 16) % 254),
        "initiator": f"iqn.2026-11.example.attachments-suite:{name}",
        # 5: registered by IEEE; the rest is no vendor's.
        "wwpns": [f"5{seed[:15]}"],
        "wwnns": [f"5{seed[15:30]}"],
        "nqn": f"nqn.2026-11.example.attachments-suite:{name}",
        "system uuid": str(uuid.UUID(seed[:32])),
        "multipath": False,
        "do_local_attach": False,
        "os_type": "linux",
        "platform": "x86_64",
        "mountpoint": "/dev/vdb",
        **more,
    }
    return {key: value for key, value in said.items() if value is not None}


def passwords(information: dict[str, Any]) -> set[str]:
    """Give the passwords in a ``connection_info``."""
    return {information[key] for key in _PASSWORDS if information.get(key)}
