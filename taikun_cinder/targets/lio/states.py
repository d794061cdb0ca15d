# SPDX-License-Identifier: Apache-2.0
"""The states that LIO can be in for one volume, however half-built or wrong.

The tree is LIO's own, so that no state can be told here that cannot be in configfs,
and the other way round: a LUN belongs to a TPG, a mapped LUN to an ACL.

A volume's two disks are two backstores with the same device behind them. The main one
has the device for itself. The readers' one does not ask for that, and reads past all
caches (``privsep.readers`` says how). It can do so little that a host which sees only
this one can change nothing: LIO compares write protection with the direction of the
data that a host announces, and carries out some commands whatever is announced (WRITE
SAME, COMPARE AND WRITE, RESERVE).
"""

import dataclasses
import functools
import uuid
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

#: The one TPG of a target, and the LUN of its main disk, as the in-tree driver numbers
#: them.
TAG = 1
LUN = 0

#: The LUN of the readers' disk.
READERS_LUN = 1

#: What the name of the readers' backstore has behind the target's.
READERS_SUFFIX = "-readers"

_READERS_SERIALS = uuid.UUID("0e5f8a7c-6f0e-5d8b-9f4e-2b1d0c9a7e36")

#: The attributes that a TPG must have. The kernel reads them when a host logs in, so a
#: change does not disturb a live session (drivers/target/iscsi/iscsi_target_tpg.c).
ATTRIBUTES: Mapping[str, int] = {
    "authentication": 1,
    "generate_node_acls": 0,
    "demo_mode_write_protect": 1,
    # At 1 while a LUN is being mapped read-only, see steps.MapLun.
    "prod_mode_write_protect": 0,
    # A discovery tells a host the targets that have an ACL for it, and no other.
    "demo_mode_discovery": 0,
}

#: The attributes of a backstore that are 0 if it refuses WRITE SAME and COMPARE AND
#: WRITE, which get past the write protection of a LUN. The kernel looks at them at each
#: command.
PASSABLE = frozenset({"max_write_same_len", "emulate_caw"})

#: The same for all that can change anything. EXTENDED COPY, UNMAP and reservations too
#: are what hosts that write may need, so only the readers' disk refuses all.
CHANGING = PASSABLE | {"emulate_3pc", "emulate_tpu", "emulate_tpws", "emulate_pr"}


@functools.lru_cache(maxsize=256)
def readers_serial(serial: str) -> str:
    """Give the serial of the readers' disk of a volume, by that of its main disk.

    LIO makes the disk's world-wide name of it (its first 25 hexadecimal digits). It is
    a UUID of version 5, so it is no volume's own: Cinder and rtslib make version 4.
    """
    return str(uuid.uuid5(_READERS_SERIALS, serial))


@dataclasses.dataclass(frozen=True)
class BackstoreState:
    """A backstore of the volume.

    Attributes:
        device: path as it was configured; empty if it was not.
        serial: the unit serial; empty if none is set.
        active: whether it is configured and enabled, so that the kernel has the
            device open (attribute ``enable``).
        refuses: the commands that it refuses, of those that get past the write
            protection of a LUN, by their attributes: of ``PASSABLE`` for the main disk,
            of ``CHANGING`` for the readers'.
        discard: whether it takes UNMAP.
        can_discard: whether its device does.
    """

    device: str
    serial: str
    active: bool
    refuses: frozenset[str] = frozenset()
    discard: bool = False
    can_discard: bool = dataclasses.field(default=True, compare=False)


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
        return HostState(
            mode,
            self.credentials,
            connected=self.session,
            readers_disk=READERS_LUN in self.mapped,
        )


@dataclasses.dataclass(frozen=True)
class TpgState:
    """The TPG with the tag 1.

    Attributes:
        enabled: whether anybody can log in.
        attributes: at least those of ``ATTRIBUTES`` that it has.
        luns: by index the name of the backstore; None if the LUN leads nowhere.
            ``LioState.readers_name`` is the name of the readers' one.
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
        name: the IQN of its target, which is its main backstore's name too.
        backstore: the main one; None if there is none.
        target: None if there is none.
        readers: the readers' backstore; None if there is none.
    """

    name: str
    backstore: BackstoreState | None = None
    target: TargetState | None = None
    readers: BackstoreState | None = None

    @property
    def readers_name(self) -> str:
        """The name of the readers' backstore."""
        return f"{self.name}{READERS_SUFFIX}"

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
