# SPDX-License-Identifier: Apache-2.0
"""The machine that a connector comes from, told from others with the same initiator.

An initiator is its host's name, but a cloned image has the name of its original. Two
such machines would share one access, and end each other's session at every login.
"""

import dataclasses
import functools
import ipaddress
import uuid

#: Values that makers left in the firmware of many machines.
_OF_MANY = (
    uuid.UUID("03000200-0400-0500-0006-000700080009"),
    uuid.UUID("12345678-1234-5678-90ab-cddeefaabbcc"),
)


@dataclasses.dataclass(frozen=True)
class Machine:
    """What a connector says of its machine; each may be empty.

    Attributes:
        host: the name that its service gives. Two services of one machine may give
            different ones, each by an option of its own.
        address: its IP address.
        uuid: of its firmware; empty if it is none, or one that many machines have.
    """

    host: str = ""
    address: str = ""
    uuid: str = ""

    def __post_init__(self) -> None:
        """Keep the one form that all others are compared in."""
        object.__setattr__(self, "uuid", _own_uuid(self.uuid))

    def __str__(self) -> str:
        told = {"ip": self.address, "system uuid": self.uuid}
        more = ", ".join(f"{name} {value}" for name, value in told.items() if value)
        return (self.host or "(unnamed)") + (f" ({more})" if more else "")

    def is_another(self, other: "Machine") -> bool:
        """Say whether the two are different machines, for sure or very likely.

        The firmware decides where both tell it. Where one does not (a container without
        it, a connector by hand), they are different if neither the name nor the address
        is the same: two services of one machine share one of them.
        """
        if self.uuid and other.uuid:
            return self.uuid != other.uuid
        names = _short(self.host), _short(other.host)
        addresses = _address(self.address), _address(other.address)
        return _differ(*names) and _differ(*addresses)

    def known_by(self, other: "Machine") -> "Machine":
        """Give the same machine with what another connector of it said more."""
        return Machine(
            other.host or self.host,
            other.address or self.address,
            other.uuid or self.uuid,
        )


def _differ(one: str, other: str) -> bool:
    return bool(one and other and one != other)


def _short(host: str) -> str:
    name = host.strip().lower()
    return name if _is_address(name) else name.partition(".")[0]


def _address(text: str) -> str:
    return str(ipaddress.ip_address(text)) if _is_address(text) else text


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


@functools.lru_cache(maxsize=1024)
def _own_uuid(text: str) -> str:
    try:
        found = uuid.UUID(text)
    except ValueError:
        return ""
    shared = found in _OF_MANY or len(set(found.hex)) == 1
    return "" if shared else str(found)


#: One of which nothing is known.
UNKNOWN = Machine()
