# SPDX-License-Identifier: Apache-2.0
"""The nouns of access: initiators, attachments, grants and exports."""

import dataclasses
import enum
import ipaddress
import itertools
from collections import Counter
from collections.abc import Collection, Mapping

_LAST_PORT = 65535


@dataclasses.dataclass(frozen=True, order=True)
class Initiator:
    """A host's iSCSI name, compared without case.

    iSCSI names are the same in any case (RFC 7143, 4.2.7), and LIO turns the name
    that a host logs in with to lower case (iscsi_target_locate_portal() in the
    kernel's drivers/target/iscsi/iscsi_target_nego.c).
    """

    name: str

    def __post_init__(self) -> None:
        """Keep the one form that all others are compared in."""
        object.__setattr__(self, "name", self.name.strip().lower())

    def __str__(self) -> str:
        return self.name


class Mode(enum.Enum):
    """What a host may do with a volume."""

    RW = "rw"
    RO = "ro"

    @property
    def write_protect(self) -> bool:
        """Whether the target has to refuse writes."""
        return self is Mode.RO


@dataclasses.dataclass(frozen=True)
class Credentials:
    """What a host proves by CHAP when it logs in.

    Neither ``repr`` nor ``str`` shows the password.
    """

    username: str
    password: str = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True)
class Grant:
    """One initiator may reach one volume.

    Attributes:
        initiator: who.
        credentials: its own; no other initiator has the same.
        mode: what it may do.
    """

    initiator: Initiator
    credentials: Credentials
    mode: Mode


@dataclasses.dataclass(frozen=True)
class Portal:
    """Where a target listens.

    Attributes:
        address: IPv4 or IPv6, in its shortest form and without brackets.
        port: TCP.

    Raises:
        ValueError: the address is none (LIO binds to addresses, not to names), or the
            port is out of range.
    """

    address: str
    port: int = 3260

    def __post_init__(self) -> None:
        """Keep the one form that all others are compared in."""
        if not 0 < self.port <= _LAST_PORT:
            raise ValueError(f"{self.port} is no TCP port")
        address = ipaddress.ip_address(self.address.strip().strip("[]"))
        object.__setattr__(self, "address", str(address))

    def __str__(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port}"

    def covers(self, other: "Portal") -> bool:
        """Say whether who connects to the other one arrives here too."""
        mine, its = (ipaddress.ip_address(one.address) for one in (self, other))
        anywhere = mine.is_unspecified and mine.version == its.version
        return self.port == other.port and (mine == its or anywhere)

    def clashes(self, other: "Portal") -> bool:
        """Say whether the kernel could not listen at both."""
        return self.covers(other) or other.covers(self)


@dataclasses.dataclass(frozen=True)
class Export:
    """What must be in the kernel for one volume.

    Attributes:
        target: the target's IQN, ``target_prefix`` + the volume's name.
        device: path of the block device behind it.
        serial: the SCSI unit serial, the same for the volume's whole life.
        portals: where the target listens.
        grants: who may reach it; at most one an initiator.

    Raises:
        ValueError: an initiator has two grants, or the kernel could not listen at all
            portals at once.
    """

    target: str
    device: str
    serial: str
    portals: frozenset[Portal]
    grants: frozenset[Grant] = frozenset()

    def __post_init__(self) -> None:
        """Refuse what could not be enforced.

        Grants with the same credentials are none of it: that is what the in-tree
        driver hands out, and hosts of a volume that was taken over go on with them.
        """
        counts = Counter(grant.initiator for grant in self.grants)
        twice = sorted(str(who) for who, count in counts.items() if count > 1)
        if twice:
            raise ValueError(f"{self.target}: several grants for {', '.join(twice)}")
        for one, other in itertools.combinations(sorted(self.portals, key=str), 2):
            if one.clashes(other):
                raise ValueError(
                    f"{self.target}: nobody can listen at {one} and {other}"
                )

    @property
    def backstore(self) -> str:
        """The name of its backstore in LIO, as the in-tree driver has it."""
        return self.target

    @property
    def grant_of(self) -> Mapping[Initiator, Grant]:
        """The grants by initiator."""
        return {grant.initiator: grant for grant in self.grants}

    def only(self, initiators: Collection[Initiator]) -> "Export":
        """Give the same without the grants of all others."""
        kept = frozenset(one for one in self.grants if one.initiator in initiators)
        return dataclasses.replace(self, grants=kept)
