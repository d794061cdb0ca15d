# SPDX-License-Identifier: Apache-2.0
"""How a volume is exported: its target's name, its device, its portals.

Names and the form of the location are the in-tree driver's, so that a volume can be
taken over from it, and given back.
"""

import dataclasses
from collections.abc import Iterable
from typing import Any

from taikun_cinder import portals
from taikun_cinder.access.identity import MADE_FOR
from taikun_cinder.access.model import Export, Grant, Mode, Portal
from taikun_cinder.access.observed import LUN


@dataclasses.dataclass(frozen=True)
class Layout:
    """What a back end's options say about its exports.

    Attributes:
        prefix: of each target's name (target_prefix).
        group: the volume group.
        portals: where targets listen, the primary one first.
    """

    prefix: str
    group: str
    portals: tuple[Portal, ...]

    @classmethod
    def of(cls, configuration: Any) -> "Layout":
        """Read the options of a back end.

        Raises:
            ValueError: an address is none.
        """
        return cls(
            prefix=configuration.target_prefix,
            group=configuration.volume_group,
            portals=portals.of(configuration),
        )

    def target(self, volume: Any) -> str:
        """Give the IQN of a volume's target."""
        return f"{self.prefix}{volume['name']}"

    def device(self, volume: Any) -> str:
        """Give the path of a volume's block device."""
        return f"/dev/{self.group}/{volume['name']}"

    def export(self, volume: Any, grants: Iterable[Grant]) -> Export | None:
        """Give what must be in the kernel: nothing for a volume that nobody may reach.

        The serial comes from ``name_id``, so the disk stays the same for its hosts
        over each new export, and over a migration that ends in another volume's name.
        """
        granted = frozenset(grants)
        if not granted:
            return None
        return Export(
            target=self.target(volume),
            device=self.device(volume),
            serial=volume["name_id"],
            portals=frozenset(self.portals),
            grants=granted,
        )

    def location(self, volume: Any) -> str:
        """Give the volume's ``provider_location``, as the in-tree driver writes it."""
        addresses, target = ";".join(map(str, self.portals)), self.target(volume)
        return f"{addresses},{target} {target} {LUN}"

    def connection(
        self, volume: Any, grant: Grant, mode: Mode, *, multipath: bool
    ) -> dict[str, Any]:
        """Give what a host needs to know to connect.

        See cinder.interface.volume_connector_driver and os-brick's iSCSI connector.
        The mode is beside the data: there Cinder's manager overwrites it, and what is
        beside goes before (manager._connection_create).
        """
        target, addresses = self.target(volume), [str(one) for one in self.portals]
        data: dict[str, Any] = {
            "target_discovered": False,
            "target_portal": addresses[0],
            "target_iqn": target,
            "target_lun": LUN,
            "volume_id": volume["id"],
            "auth_method": "CHAP",
            "auth_username": grant.credentials.username,
            "auth_password": grant.credentials.password,
            MADE_FOR: grant.initiator.name,
            "encrypted": volume["encryption_key_id"] is not None,
            "discard": False,
        }
        if multipath or len(addresses) > 1:
            data["target_portals"] = addresses
            data["target_iqns"] = [target] * len(addresses)
            data["target_luns"] = [LUN] * len(addresses)
        return {
            "driver_volume_type": "iscsi",
            "access_mode": mode.value,
            "data": data,
        }
