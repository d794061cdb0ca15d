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
    READERS_LUN,
    AclState,
    BackstoreState,
    LioState,
    MappedLunState,
    readers_serial,
)


@dataclasses.dataclass(frozen=True)
class Disk:
    """One of the disks of a volume.

    Attributes:
        lun: the index of its LUN, of the TPG and for each host that sees it.
        backstore: the name of its backstore.
        serial: the unit serial that it should have.
        state: its backstore; None if there is none.
    """

    lun: int
    backstore: str
    serial: str
    state: BackstoreState | None


@dataclasses.dataclass(frozen=True)
class View:
    """One volume in LIO, and what it should be."""

    observed: LioState
    desired: Export

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

    def shown(self, initiator: Initiator) -> tuple[Disk, ...]:
        """Give the disks that a host is to see."""
        grant = self.desired.grant_of[initiator]
        main = () if grant.mode is None else (self.main,)
        return (*main, self.readers) if grant.readers_disk else main

    @cached_property
    def main(self) -> Disk:
        """The main disk."""
        desired = self.desired
        return Disk(LUN, desired.target, desired.serial, self.observed.backstore)

    @cached_property
    def readers(self) -> Disk:
        """The readers' disk."""
        observed = self.observed
        serial = readers_serial(self.desired.serial)
        return Disk(READERS_LUN, observed.readers_name, serial, observed.readers)

    @cached_property
    def disks(self) -> Mapping[int, Disk]:
        """The disks that there should be, by the index of their LUN."""
        readers = (self.readers,) if self.desired.has_readers_disk else ()
        return {disk.lun: disk for disk in (self.main, *readers)}

    @cached_property
    def held_luns(self) -> frozenset[int]:
        """The TPG's LUNs that a live host, which stays, has as a disk that it keeps."""
        return frozenset(
            mapped.lun
            for initiator, acl in self.kept.items()
            if acl.session
            for disk in self.shown(initiator)
            if (mapped := acl.mapped.get(disk.lun)) is not None
            if mapped.lun is not None and self.observed.luns.get(mapped.lun)
        )

    def is_held(self, disk: Disk) -> bool:
        """Say whether a live host, which stays, has a disk's backstore as its disk."""
        return disk.backstore in {self.observed.luns[lun] for lun in self.held_luns}

    def is_sound(self, disk: Disk) -> bool:
        """Say whether a host that is shown a disk gets this volume's device."""
        return self.is_right(disk, MappedLunState(disk.lun, write_protect=True))

    def is_right(self, disk: Disk, mapped_lun: MappedLunState) -> bool:
        """Say whether a mapped LUN leads to the volume's device by a disk's own LUN."""
        state = disk.state
        return (
            state is not None
            and state.active
            and state.device == self.desired.device
            and mapped_lun.lun == disk.lun
            and self.observed.luns.get(disk.lun) == disk.backstore
        )

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
