# SPDX-License-Identifier: Apache-2.0
"""The states that LIO can be in for one volume, however half-built or wrong.

The tree is LIO's own, so that no state can be told here that cannot be in configfs,
and the other way round: a LUN belongs to a TPG, a mapped LUN to an ACL.
"""

import dataclasses
from collections.abc import Collection, Mapping

from taikun_cinder.access.model import (
    Credentials,
    ExportState,
    HostState,
    Initiator,
    Mode,
    Portal,
    Sealed,
)

#: The one TPG of a target, and its one LUN, as the in-tree driver numbers them.
TAG = 1
LUN = 0

#: The attributes that a TPG must have. The kernel reads them when a host logs in, so a
#: change does not disturb a live session (drivers/target/iscsi/iscsi_target_tpg.c).
ATTRIBUTES: Mapping[str, int] = {
    "authentication": 1,
    "generate_node_acls": 0,
    "demo_mode_write_protect": 1,
    # At 1 while a LUN is being mapped read-only, see steps.MapLun.
    "prod_mode_write_protect": 0,
}


@dataclasses.dataclass(frozen=True)
class BackstoreState:
    """A block backstore with the name of the volume's target.

    Attributes:
        device: path as it was configured; empty if it was not.
        serial: the unit serial; empty if none is set.
        active: whether it is configured and enabled, so that the kernel has the
            device open (attribute ``enable``).
    """

    device: str
    serial: str
    active: bool


@dataclasses.dataclass(frozen=True)
class MappedLunState:
    """A LUN as one initiator sees it.

    Attributes:
        lun: index of the TPG's LUN that it leads to; None if it leads nowhere.
        write_protect: whether writes are refused.
    """

    lun: int | None
    write_protect: bool


@dataclasses.dataclass(frozen=True)
class AclState:
    """The TPG's knowledge of one initiator.

    Attributes:
        credentials: None unless a login is refused without them: no username, no
            password, or the ACL's own ``authentication`` is 0 (Linux 5.19 and later).
        mapped: its LUNs, by the index that the initiator sees.
        session: whether it is logged in.
    """

    credentials: Credentials | Sealed | None = None
    mapped: Mapping[int, MappedLunState] = dataclasses.field(default_factory=dict)
    session: bool = False

    @property
    def shown(self) -> HostState:
        """The same in the words of all kinds of targets."""
        mapped_lun = self.mapped.get(LUN)
        mode = None
        if mapped_lun is not None:
            mode = Mode.RO if mapped_lun.write_protect else Mode.RW
        return HostState(mode, self.credentials, connected=self.session)


@dataclasses.dataclass(frozen=True)
class TpgState:
    """The TPG with the tag 1.

    Attributes:
        enabled: whether anybody can log in.
        attributes: at least those of ``ATTRIBUTES`` that it has.
        luns: by index the name of the backstore; None if the LUN leads nowhere.
        portals: where it listens.
        acls: by initiator.
    """

    enabled: bool = False
    attributes: Mapping[str, int] = dataclasses.field(default_factory=dict)
    luns: Mapping[int, str | None] = dataclasses.field(default_factory=dict)
    portals: frozenset[Portal] = frozenset()
    acls: Mapping[Initiator, AclState] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class TargetState:
    """A target.

    Attributes:
        tpg: the one with the tag 1.
        other_tpgs: the tags of all others. There should be none.
    """

    tpg: TpgState | None = None
    other_tpgs: frozenset[int] = frozenset()


@dataclasses.dataclass(frozen=True)
class LioState:
    """Everything that LIO has for one volume.

    Attributes:
        name: the IQN of its target, which is its backstore's name too.
        backstore: None if there is none.
        target: None if there is none.
    """

    name: str
    backstore: BackstoreState | None = None
    target: TargetState | None = None

    @property
    def tpg(self) -> TpgState | None:
        """The TPG, None if there is none."""
        return None if self.target is None else self.target.tpg

    @property
    def acls(self) -> Mapping[Initiator, AclState]:
        """The ACLs, none if there is no TPG."""
        return {} if self.tpg is None else self.tpg.acls

    @property
    def luns(self) -> Mapping[int, str | None]:
        """The LUNs, none if there is no TPG."""
        return {} if self.tpg is None else self.tpg.luns

    @property
    def sessions(self) -> frozenset[Initiator]:
        """The initiators that are logged in."""
        return frozenset(
            initiator for initiator, acl in self.acls.items() if acl.session
        )

    @property
    def shown(self) -> ExportState:
        """The same in the words of all kinds of targets."""
        backstore = self.backstore
        return ExportState(
            target=self.name,
            device=None if backstore is None else backstore.device,
            serial=None if backstore is None else backstore.serial,
            hosts={initiator: acl.shown for initiator, acl in self.acls.items()},
        )

    def only(self, initiators: Collection[Initiator]) -> "LioState":
        """Give the same without the ACLs of all others."""
        if self.target is None or self.target.tpg is None:
            return self
        kept = {
            initiator: acl
            for initiator, acl in self.acls.items()
            if initiator in initiators
        }
        tpg = dataclasses.replace(self.target.tpg, acls=kept)
        target = dataclasses.replace(self.target, tpg=tpg)
        return dataclasses.replace(self, target=target)
