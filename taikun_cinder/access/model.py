# SPDX-License-Identifier: Apache-2.0
"""The nouns of access: initiators, grants, exports, and what a target shows of them."""

import dataclasses
import enum
import functools
import hmac
import ipaddress
import itertools
from collections import Counter
from collections.abc import Collection, Iterable, Mapping

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
    """The ways in which a host may use a volume."""

    RW = "rw"
    RO = "ro"


def highest(modes: Collection[Mode | None]) -> Mode | None:
    """Give the mode that a host has by several uses; None if it has none."""
    return next((mode for mode in (Mode.RW, Mode.RO) if mode in modes), None)


@dataclasses.dataclass(frozen=True)
class Credentials:
    """The name and password that a host logs in with.

    Neither ``repr`` nor ``str`` shows the password.

    Attributes:
        username: the name.
        password: empty if it is not known, see :meth:`Sealed.opened`.
    """

    username: str
    password: str = dataclasses.field(repr=False)

    def __hash__(self) -> int:
        """Give the same as for these when they are sealed."""
        return hash(self.username)

    @property
    def known(self) -> bool:
        """Whether a host can be told these."""
        return bool(self.password)


@dataclasses.dataclass(frozen=True, eq=False)
class Sealed:
    """The name and password that a target has for a host, which tells no password.

    They equal the credentials that they are, and those of that name whose password is
    not known.

    Attributes:
        username: the name.
        digest: of the password (HMAC-SHA256).
        key: of the digest.
    """

    username: str
    digest: bytes = dataclasses.field(repr=False)
    key: bytes = dataclasses.field(repr=False)

    def __eq__(self, other: object) -> bool:
        """Compare with such, or with credentials."""
        if isinstance(other, Sealed):
            mine = self.username, self.digest, self.key
            return mine == (other.username, other.digest, other.key)
        if not isinstance(other, Credentials):
            return NotImplemented
        digest = hmac.digest(self.key, other.password.encode(), "sha256")
        same = not other.known or hmac.compare_digest(digest, self.digest)
        return self.username == other.username and same

    def __hash__(self) -> int:
        """Give the same as for the credentials that they are."""
        return hash(self.username)

    def opened(self, known: Iterable[Credentials]) -> Credentials:
        """Give the credentials that these are, if they are among those known.

        Otherwise those of this name whose password is not known. Whoever has a grant
        with such keeps the ACL that it has, and gets no other by it.
        """
        unknown = Credentials(self.username, "")
        return next((own for own in known if own.known and self == own), unknown)


@dataclasses.dataclass(frozen=True)
class Grant:
    """One initiator may reach one volume, by one or both of the volume's disks.

    The main disk is the one that hosts write to. The readers' disk shows the same data,
    and nobody can write to it. So one host can have both at once: one server that
    writes, and one that only reads.

    Attributes:
        initiator: the host's.
        credentials: the host's own. Only those from the in-tree driver may be the same
            for several.
        mode: what the host may do with the main disk; None if it does not see it.
            Read-only are the hosts that got no readers' disk when they were attached.
        readers_disk: whether it sees the readers' disk.

    Raises:
        ValueError: it sees neither.
    """

    initiator: Initiator
    credentials: Credentials
    mode: Mode | None
    readers_disk: bool = False

    def __post_init__(self) -> None:
        """Refuse what grants nothing."""
        if self.mode is None and not self.readers_disk:
            raise ValueError(f"a grant for {self.initiator} that shows it no disk")

    def joined(self, other: "Grant") -> "Grant":
        """Give this grant with the disks that another one of the host shows."""
        mode = highest((self.mode, other.mode))
        readers_disk = self.readers_disk or other.readers_disk
        return dataclasses.replace(self, mode=mode, readers_disk=readers_disk)

    def reduced(self, other: "Grant | HostState") -> "Grant | None":
        """Give this grant with no more than the host has by another, or as it is."""
        shown = {self.mode, other.mode}
        mode = next(mode for mode in (None, Mode.RO, Mode.RW) if mode in shown)
        readers_disk = self.readers_disk and other.readers_disk
        if mode is None and not readers_disk:
            return None
        return dataclasses.replace(self, mode=mode, readers_disk=readers_disk)

    @property
    def words(self) -> str:
        """The disks that it shows."""
        main = None if self.mode is None else self.mode.value
        readers = "the readers' disk" if self.readers_disk else None
        return " and ".join(filter(None, (main, readers)))


@dataclasses.dataclass(frozen=True)
class Portal:
    """An address and a port where a target listens.

    Attributes:
        address: IPv4 or IPv6, in its shortest form and without brackets.
        port: TCP.

    Raises:
        ValueError: it is not an IP address (LIO binds to addresses, not names), or the
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
        """Say whether a host that connects to the other portal arrives here too."""
        if self == other:
            return True
        mine = ipaddress.ip_address(self.address)
        its = ipaddress.ip_address(other.address)
        anywhere = mine.is_unspecified and mine.version == its.version
        return self.port == other.port and (mine == its or anywhere)

    def clashes(self, other: "Portal") -> bool:
        """Say whether the kernel cannot listen at both portals."""
        return self.covers(other) or other.covers(self)


@dataclasses.dataclass(frozen=True)
class Told:
    """The place where a host was told to connect, by its connection_info.

    Attributes:
        target: the target's name.
        portals: all that it was told of.
    """

    target: str
    portals: frozenset[Portal]


@dataclasses.dataclass(frozen=True)
class Export:
    """The wanted state of a target, for one volume.

    Attributes:
        target: the target's IQN, ``target_prefix`` + the volume's name.
        device: path of the block device behind it.
        serial: the SCSI unit serial, the same for the volume's whole life.
        portals: where the target listens.
        grants: who may reach it; at most one an initiator.
        others: further grants, of hosts that are not looked at; see :meth:`only`.
        discard: whether hosts that may write may also discard, if the device can.

    Raises:
        ValueError: an initiator has two grants, or the kernel could not listen at all
            portals at once.
    """

    target: str
    device: str
    serial: str
    portals: frozenset[Portal]
    grants: frozenset[Grant] = frozenset()
    others: frozenset[Grant] = frozenset()
    discard: bool = False

    def __post_init__(self) -> None:
        """Refuse what could not be enforced.

        Several grants may have the same credentials: the in-tree driver hands out one
        pair per volume, and the hosts of a volume that was taken over keep it.
        """
        if len(self.grant_of) < len(self.grants):
            counts = Counter(grant.initiator for grant in self.grants)
            twice = sorted(str(name) for name, count in counts.items() if count > 1)
            raise ValueError(f"{self.target}: several grants for {', '.join(twice)}")
        for first, second in itertools.combinations(self.portals, 2):
            if first.clashes(second):
                both = " and ".join(sorted((str(first), str(second))))
                raise ValueError(f"{self.target}: nobody can listen at {both}")

    @functools.cached_property
    def grant_of(self) -> Mapping[Initiator, Grant]:
        """The grants by initiator."""
        return {grant.initiator: grant for grant in self.grants}

    @property
    def has_readers_disk(self) -> bool:
        """Whether any host sees the readers' disk."""
        return any(grant.readers_disk for grant in (*self.grants, *self.others))

    @property
    def has_protected_host(self) -> bool:
        """Whether any host sees the main disk, and must not write to it."""
        return any(grant.mode is Mode.RO for grant in (*self.grants, *self.others))

    def only(self, initiators: Collection[Initiator]) -> "Export":
        """Give the same, with the grants of all others out of sight."""
        kept = frozenset(
            grant for grant in self.grants if grant.initiator in initiators
        )
        others = self.others | (self.grants - kept)
        return dataclasses.replace(self, grants=kept, others=others)

    def without(self, initiators: Collection[Initiator]) -> "Export":
        """Give the same without the grants of some initiators."""
        kept = frozenset(one for one in self.grants if one.initiator not in initiators)
        return dataclasses.replace(self, grants=kept)

    def without_readers_disk(self) -> "Export":
        """Give the same without that disk, and without the hosts that have no other."""
        kept = frozenset(
            dataclasses.replace(grant, readers_disk=False)
            for grant in self.grants
            if grant.mode is not None
        )
        return dataclasses.replace(self, grants=kept)


@dataclasses.dataclass(frozen=True)
class HostState:
    """The present access of one host to a volume.

    Attributes:
        mode: what the host may do with the main disk; None if it does not see it.
        credentials: those by which the host can log in; None if it can by none, or
            needs none.
        connected: whether the host is logged in.
        readers_disk: whether it sees the readers' disk.
    """

    mode: Mode | None = None
    credentials: Credentials | Sealed | None = None
    connected: bool = False
    readers_disk: bool = False


@dataclasses.dataclass(frozen=True)
class ExportState:
    """The present state of a target for one volume, however half-built or wrong.

    Attributes:
        target: the target's name.
        device: path of the block device that it has open; None if it has none, empty
            if it does not say which.
        serial: the unit serial that hosts see; None without a device, empty if none
            is set.
        hosts: by initiator, all that the target knows.
    """

    target: str
    device: str | None = None
    serial: str | None = None
    hosts: Mapping[Initiator, HostState] = dataclasses.field(default_factory=dict)

    @property
    def connected(self) -> frozenset[Initiator]:
        """The initiators that are logged in."""
        return frozenset(
            initiator for initiator, host in self.hosts.items() if host.connected
        )
