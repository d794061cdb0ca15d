# SPDX-License-Identifier: Apache-2.0
"""An imitation of the kernel's iSCSI target, by its folder.

From target_core_fabric_configfs.c and drivers/target/iscsi.
"""

import errno

from taikun_cinder.access.model import Portal
from tests.unit.privsep.acls import Acls
from tests.unit.privsep.configfs import Attribute, Folder, number, refuse
from tests.unit.privsep.portals import Portals
from tests.unit.privsep.tpg import Tpg

_NAME = 224  # ISCSI_IQN_LEN and TRANSPORT_IQN_LEN
_LAST_TAG = 65535


class Fabric(Folder):
    """The folder ``iscsi``, with all targets in it."""

    def __init__(self) -> None:
        super().__init__()
        self.attributes["lio_version"] = Attribute(lambda: "Datera Inc.\n")
        self.add_default("discovery_auth")

    def make_group(self, name: str) -> Folder:
        return Target(self) if len(name) < _NAME else refuse(errno.EINVAL)

    @property
    def targets(self) -> dict[str, "Target"]:
        """The targets by name."""
        found = self.folders.items()
        return {name: target for name, target in found if isinstance(target, Target)}

    @property
    def portals(self) -> list[Portal]:
        """Every portal that a target listens at."""
        targets = self.targets.values()
        return [portal for target in targets for portal in target.portals]


class Target(Folder):
    """A target."""

    def __init__(self, fabric: Fabric) -> None:
        super().__init__()
        self._fabric = fabric
        self.add_default("fabric_statistics")
        self.add_default("param")

    def make_group(self, name: str) -> Folder:
        tag = name.partition("tpgt_")[2] or refuse(errno.EINVAL)
        if not 0 <= number(tag) <= _LAST_TAG:
            refuse(errno.EINVAL)
        tpg = Tpg()
        tpg.add_default("acls", Acls(tpg))
        tpg.add_default(
            "np", Portals(lambda: self.portals, lambda: self._fabric.portals)
        )
        return tpg

    @property
    def tpgs(self) -> list["Tpg"]:
        """The TPGs."""
        return [tpg for tpg in self.folders.values() if isinstance(tpg, Tpg)]

    @property
    def portals(self) -> list[Portal]:
        """Where any of its TPGs listens."""
        return [portal for tpg in self.tpgs for portal in portals_of(tpg)]


def portals_of(tpg: Tpg) -> list[Portal]:
    """Give where a TPG listens."""
    found = tpg.folders["np"]
    assert isinstance(found, Portals)
    return found.listening
