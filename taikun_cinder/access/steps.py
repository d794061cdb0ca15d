# SPDX-License-Identifier: Apache-2.0
"""The single changes to what the kernel has for one volume.

What each does, to the letter, is ``effects.after``. A step is only ever given to a
kernel in the state that ``plan`` saw, so none of them has to look again: RemoveLun
finds no mapped LUN that leads there, RemoveBackstore no LUN, AddLun a backstore.
"""

import dataclasses

from taikun_cinder.access.model import Credentials, Initiator, Portal


@dataclasses.dataclass(frozen=True)
class CreateBackstore:
    """Make, configure and enable the block backstore, with its serial."""

    device: str
    serial: str


@dataclasses.dataclass(frozen=True)
class RemoveBackstore:
    """Remove the backstore, whole or half-built, and close its device."""


@dataclasses.dataclass(frozen=True)
class CreateTarget:
    """Make the target, without any TPG."""


@dataclasses.dataclass(frozen=True)
class RemoveTarget:
    """Remove the target with all that is in it. Its sessions end."""


@dataclasses.dataclass(frozen=True)
class CreateTpg:
    """Make the TPG with the tag 1, disabled, with the attributes it must have."""


@dataclasses.dataclass(frozen=True)
class RemoveTpg:
    """Remove another TPG with all that is in it. Its sessions end."""

    tag: int


@dataclasses.dataclass(frozen=True)
class SetAttribute:
    """Set one attribute of the TPG."""

    name: str
    value: int


@dataclasses.dataclass(frozen=True)
class EnableTpg:
    """Let those log in who have an ACL."""


@dataclasses.dataclass(frozen=True)
class AddLun:
    """Make the LUN with the index 0, leading to the volume's backstore."""


@dataclasses.dataclass(frozen=True)
class RemoveLun:
    """Remove a LUN of the TPG."""

    index: int


@dataclasses.dataclass(frozen=True)
class AddPortal:
    """Listen there."""

    portal: Portal


@dataclasses.dataclass(frozen=True)
class RemovePortal:
    """Listen there no more. Sessions that came in there go on."""

    portal: Portal


@dataclasses.dataclass(frozen=True)
class CreateAcl:
    """Make an ACL without credentials and LUNs: nobody can log in by it yet."""

    initiator: Initiator


@dataclasses.dataclass(frozen=True)
class RemoveAcl:
    """Remove an ACL with its mapped LUNs. Its session ends at once."""

    initiator: Initiator


@dataclasses.dataclass(frozen=True)
class SetCredentials:
    """Let the initiator log in with these only. A live session goes on.

    The ACL's own ``authentication``, where the kernel has it, must be on afterwards.
    """

    initiator: Initiator
    credentials: Credentials


@dataclasses.dataclass(frozen=True)
class MapLun:
    """Show LUN 0 to the initiator, write-protected from the first moment if asked."""

    initiator: Initiator
    write_protect: bool


@dataclasses.dataclass(frozen=True)
class UnmapLun:
    """Show the initiator nothing under this index."""

    initiator: Initiator
    index: int


@dataclasses.dataclass(frozen=True)
class SetWriteProtect:
    """Refuse writes of the initiator through its LUN 0, or refuse them no more."""

    initiator: Initiator
    write_protect: bool


Step = (
    CreateBackstore
    | RemoveBackstore
    | CreateTarget
    | RemoveTarget
    | CreateTpg
    | RemoveTpg
    | SetAttribute
    | EnableTpg
    | AddLun
    | RemoveLun
    | AddPortal
    | RemovePortal
    | CreateAcl
    | RemoveAcl
    | SetCredentials
    | MapLun
    | UnmapLun
    | SetWriteProtect
)

#: Those that change what one initiator may do, and nothing that another stands on.
PERSONAL = (CreateAcl, RemoveAcl, SetCredentials, MapLun, UnmapLun, SetWriteProtect)
