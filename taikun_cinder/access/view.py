# SPDX-License-Identifier: Apache-2.0
"""What is and what should be, side by side, and what must not be touched.

A part is *held* when a host that is to keep its access has a live session that stands
on it. A held part is never torn down, not even a wrong one: an attached host never
loses its disk because of someone else (law 1).
"""

import dataclasses
from collections.abc import Mapping
from functools import cached_property

from taikun_cinder.access.model import Export, Initiator, Portal
from taikun_cinder.access.observed import LUN, Observed, ObservedAcl, ObservedMapping


@dataclasses.dataclass(frozen=True)
class View:
    """One volume in the kernel, and what it should be."""

    observed: Observed
    desired: Export

    @cached_property
    def kept(self) -> Mapping[Initiator, ObservedAcl]:
        """The ACLs that stay."""
        return {
            who: acl
            for who, acl in sorted(self.observed.acls.items())
            if who in self.desired.grant_of
        }

    @cached_property
    def held(self) -> bool:
        """Whether anybody who is logged in stays."""
        return any(acl.session for acl in self.kept.values())

    @cached_property
    def held_luns(self) -> frozenset[int]:
        """The TPG's LUNs that a live host, which stays, has as its disk."""
        ways = (acl.mapped.get(LUN) for acl in self.kept.values() if acl.session)
        luns = {way.lun for way in ways if way is not None and way.lun is not None}
        return frozenset(lun for lun in luns if self.observed.luns.get(lun))

    @cached_property
    def held_backstore(self) -> bool:
        """Whether a live host, which stays, has the volume's backstore as its disk."""
        names = {self.observed.luns[lun] for lun in self.held_luns}
        return self.desired.backstore in names

    @cached_property
    def sound(self) -> bool:
        """Whether who is shown LUN 0 gets this volume's device."""
        return self.leads_home(ObservedMapping(LUN, write_protect=True))

    def leads_home(self, way: ObservedMapping) -> bool:
        """Say whether a mapped LUN leads to this volume's device."""
        backstore = self.observed.backstore
        return (
            backstore is not None
            and backstore.active
            and backstore.device == self.desired.device
            and way.lun is not None
            and self.observed.luns.get(way.lun) == self.desired.backstore
        )

    @cached_property
    def extra_portals(self) -> tuple[Portal, ...]:
        """Where the target listens and should not."""
        tpg = self.observed.tpg
        there = frozenset() if tpg is None else tpg.portals
        return tuple(sorted(there - self.desired.portals, key=str))

    @cached_property
    def missing_portals(self) -> tuple[Portal, ...]:
        """Where nobody listens who should."""
        tpg = self.observed.tpg
        there = frozenset() if tpg is None else tpg.portals
        return tuple(
            portal
            for portal in sorted(self.desired.portals, key=str)
            if not any(one.covers(portal) for one in there)
        )
