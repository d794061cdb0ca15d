# SPDX-License-Identifier: Apache-2.0
"""The layout of an export: the name of its target, its device, its portals.

Names are the in-tree driver's, so that a volume can be taken over from it, and given
back.
"""

import dataclasses
import re
from collections.abc import Iterable
from typing import Any

from oslo_config import cfg

from taikun_cinder import portals
from taikun_cinder.access.model import Export, Grant, Portal

_ID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"


def is_name_id(name_id: object) -> bool:
    """Say whether it can be the ``name_id`` of a volume: Cinder makes no others.

    All that is named by it (a file, a lock, a device, a target) would be another's.
    """
    return isinstance(name_id, str) and re.fullmatch(_ID, name_id) is not None


@dataclasses.dataclass(frozen=True)
class Layout:
    """The layout of a back end's exports, by its options.

    Attributes:
        prefix: of each target's name (target_prefix).
        group: the volume group.
        portals: where targets listen, the primary one first.
        template: of a logical volume's name, by its ``name_id``
            (volume_name_template).
        discard: whether hosts that may write may discard (report_discard_supported).
    """

    prefix: str
    group: str
    portals: tuple[Portal, ...]
    template: str = "volume-%s"
    discard: bool = False

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
            template=cfg.CONF.volume_name_template,
            discard=configuration.report_discard_supported,
        )

    def target(self, volume: Any) -> str:
        """Give the name of a volume's target."""
        return f"{self.prefix}{volume['name']}"

    def name(self, name_id: str) -> str:
        """Give the name of a logical volume."""
        return str(self.template % name_id)

    def name_id(self, target: str) -> str | None:
        """Give the ``name_id`` in the name of a target, whatever its prefix.

        Returns:
            None if the target is not named by a volume.
        """
        before, _, after = self.template.partition("%s")
        found = re.search(f"{re.escape(before)}({_ID}){re.escape(after)}$", target)
        return found.group(1) if found else None

    def device(self, volume: Any) -> str:
        """Give the path of a volume's block device."""
        return f"/dev/{self.group}/{volume['name']}"

    def export(
        self, volume: Any, target: str, grants: Iterable[Grant]
    ) -> Export | None:
        """Give what the target must show: nothing for a volume that nobody may reach.

        Args:
            volume: Cinder's.
            target: the target's name.
            grants: who may reach the volume.

        The serial comes from ``name_id``, so the disk stays the same for its hosts
        over each new export, and over a migration that ends in another volume's name.
        """
        granted = frozenset(grants)
        if not granted:
            return None
        return Export(
            target=target,
            device=self.device(volume),
            serial=volume["name_id"],
            portals=frozenset(self.portals),
            grants=granted,
            discard=self.discard,
        )
