# SPDX-License-Identifier: Apache-2.0
"""The devices and hosts that the contract suite needs, and a clumsy administrator."""

from typing import Protocol

from taikun_cinder.access.model import Credentials, Initiator, Portal
from taikun_cinder.targets.base import Target
from taikun_cinder.targets.lio.states import LioState
from taikun_cinder.targets.lio.steps import Step


class LoginRefused(Exception):  # noqa: N818 - an outcome that tests ask for
    """The target did not let the host in."""


class Session(Protocol):
    """A host that is logged in to one target."""

    @property
    def alive(self) -> bool:
        """Whether the target has not ended it."""
        ...

    @property
    def serial(self) -> str:
        """The unit serial that the host reads from its disk."""
        ...

    def write(self, content: bytes) -> None:
        """Write at most 512 bytes at the start of the disk, past all caches.

        Raises:
            OSError: the target refuses it, or the disk is gone.
        """
        ...

    def read(self) -> bytes:
        """Read what was written last, past all caches.

        Raises:
            OSError: the disk is gone.
        """
        ...

    def other(self, lun: int) -> "Session":
        """Give another disk of the same session, once the host has looked for it."""
        ...

    def logout(self) -> None:
        """Log out."""
        ...


class World(Protocol):
    """One storage node, empty at the start of a test, and hosts.

    Attributes:
        prefix: of the names of the test's targets.
        portals: two addresses of the node that a target can listen at.
    """

    prefix: str
    portals: tuple[Portal, Portal]

    @property
    def target(self) -> Target:
        """The target that is tested."""
        ...

    def device(self) -> str:
        """Make a block device of at least 1 MiB and give its path."""
        ...

    def in_use(self, device: str) -> bool:
        """Say whether a backstore has the device open."""
        ...

    def login(
        self,
        name: str,
        portal: Portal,
        initiator: Initiator,
        credentials: Credentials,
        lun: int = 0,
    ) -> Session:
        """Log a host in, to use the disk with this LUN.

        Raises:
            LoginRefused: the target did not let it in.
        """
        ...


class Readable(Protocol):
    """A LIO to look into, see ``targets.lio.kernel.Kernel``."""

    def read(self, name: str, *, search: bool = False) -> LioState:
        """Tell what there is for one volume."""
        ...


class LioWorld(World, Protocol):
    """One storage node with a LIO, and a clumsy administrator."""

    @property
    def kernel(self) -> Readable:
        """The LIO."""
        ...

    def damage(self, name: str, step: Step) -> None:
        """Take one step by hand, past the target's own ways."""
        ...
