# SPDX-License-Identifier: Apache-2.0
"""A state and an export side by side, and the parts that must not be touched.

A part is *held* when a host that is to keep its access has a live session that stands
on it. A held part is never torn down, not even a wrong one: an attached host never
loses its disk because of someone else (law 1).
"""

import dataclasses
from collections.abc import Mapping
from functools import cached_property

from taikun_cinder.access.model import Export, Initiator, Portal
from taikun_cinder.targets.lio.states import (
    LUN,
    AclState,
    LioState,
    MappedLunState,
)


@dataclasses.dataclass(frozen=True)
class View:
    """One volume in LIO, and what it should be."""

    observed: LioState
    desired: Export

    @property
    def backstore(self) -> str:
        """The name of the volume's backstore: its target's, as in-tree."""
        return self.desired.target

    @cached_property
    def kept(self) -> Mapping[Initiator, AclState]:
        """The ACLs that stay."""
        return {
            initiator: acl
            for initiator, acl in sorted(self.observed.acls.items())
            if initiator in self.desired.grant_of
        }

    @cached_property
    def held(self) -> bool:
        """Whether any host that stays is logged in."""
        return any(acl.session for acl in self.kept.values())

    @cached_property
    def held_luns(self) -> frozenset[int]:
        """The TPG's LUNs that a live host, which stays, has as its disk."""
        mapped = (acl.mapped.get(LUN) for acl in self.kept.values() if acl.session)
        luns = {
            mapped_lun.lun
            for mapped_lun in mapped
            if mapped_lun is not None and mapped_lun.lun is not None
        }
        return frozenset(lun for lun in luns if self.observed.luns.get(lun))

    @cached_property
    def held_backstore(self) -> bool:
        """Whether a live host, which stays, has the volume's backstore as its disk."""
        names = {self.observed.luns[lun] for lun in self.held_luns}
        return self.backstore in names

    @cached_property
    def sound(self) -> bool:
        """Whether a host that is shown LUN 0 gets this volume's device."""
        return self.leads_home(MappedLunState(LUN, write_protect=True))

    def leads_home(self, mapped_lun: MappedLunState) -> bool:
        """Say whether a mapped LUN leads to this volume's device."""
        backstore = self.observed.backstore
        return (
            backstore is not None
            and backstore.active
            and backstore.device == self.desired.device
            and mapped_lun.lun is not None
            and self.observed.luns.get(mapped_lun.lun) == self.backstore
        )

    def is_right(self, mapped_lun: MappedLunState) -> bool:
        """Say whether a mapped LUN leads to the device by the one LUN it should."""
        return mapped_lun.lun == LUN and self.leads_home(mapped_lun)

    @cached_property
    def extra_portals(self) -> tuple[Portal, ...]:
        """The portals where the target listens and should not."""
        return tuple(sorted(self._portals - self.desired.portals, key=str))

    @cached_property
    def missing_portals(self) -> tuple[Portal, ...]:
        """The portals where the target should listen and does not."""
        return tuple(
            wanted
            for wanted in sorted(self.desired.portals, key=str)
            if not any(portal.covers(wanted) for portal in self._portals)
        )

    @property
    def _portals(self) -> frozenset[Portal]:
        tpg = self.observed.tpg
        return frozenset() if tpg is None else tpg.portals
