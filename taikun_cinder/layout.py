# SPDX-License-Identifier: Apache-2.0
"""The layout of an export: the name of its target, its device, its portals.

Names are the in-tree driver's, so that a volume can be taken over from it, and given
back.
"""

import dataclasses
from collections.abc import Iterable
from typing import Any

from taikun_cinder import portals
from taikun_cinder.access.model import Export, Grant, Portal


@dataclasses.dataclass(frozen=True)
class Layout:
    """The layout of a back end's exports, by its options.

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
            ValueError: an address is not an IP address.
        """
        return cls(
            prefix=configuration.target_prefix,
            group=configuration.volume_group,
            portals=portals.of(configuration),
        )

    def target(self, volume: Any) -> str:
        """Give the name of a volume's target."""
        return f"{self.prefix}{volume['name']}"

    def device(self, volume: Any) -> str:
        """Give the path of a volume's block device."""
        return f"/dev/{self.group}/{volume['name']}"

    def export(self, volume: Any, grants: Iterable[Grant]) -> Export | None:
        """Give what the target must show: nothing for a volume that nobody may reach.

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
