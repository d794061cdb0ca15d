# SPDX-License-Identifier: Apache-2.0
"""What a run asks of the LIO that it is over, whichever that is.

One is ``kernel``, whose steps are the driver's own. The other one is ``node_kernel``,
whose steps are those of the privileged process on files.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, Protocol

from taikun_cinder.access.model import Credentials, Initiator
from taikun_cinder.targets.lio.kernel import Kernel
from taikun_cinder.targets.lio.steps import Step
from tests.simulate.actors import Process


class Session(Protocol):
    """A host that is logged in, with one LUN as its disk."""

    name: str
    initiator: Initiator

    @property
    def alive(self) -> bool:
        """Whether it has not been ended."""
        ...

    def other(self, lun: int) -> "Session":
        """Give another disk of the same session."""
        ...

    def logout(self) -> None:
        """Log out."""
        ...


class SimulatedKernel(Protocol):
    """A LIO that can be booted, and looked at by nobody of the run.

    Attributes:
        changed: the names of what was changed since somebody looked.
        boots: how often it was booted.
        process: what hangs in it; it ends with a boot.
        lack: what it lacks for readers' disks; empty for nothing.
    """

    changed: set[str]
    boots: int
    process: Process
    lack: str

    def asked(self) -> Kernel:
        """Give it as the driver asks it."""
        ...

    def reset(self) -> None:
        """Boot: nothing is exported, and what hung has gone."""
        ...

    def exported(self) -> Collection[str]:
        """Give the names of all that exists."""
        ...

    def initiators(self, name: str) -> Collection[Initiator]:
        """Give who has an ACL."""
        ...

    def serial(self, name: str) -> str:
        """Give the serial of a disk; empty for none."""
        ...

    def device(self, name: str) -> str:
        """Give the path of the device behind a disk; empty for none."""
        ...

    def ways(self, name: str) -> Sequence[tuple[Initiator, bool]]:
        """Give who reaches a disk by a target, and whether he can write there."""
        ...

    def main_disks(self, name: str) -> Iterator[tuple[Initiator, object, bool]]:
        """Give who is logged in, by which session, and whether LUN 0 is there."""
        ...

    def can(self, session: Any, *, write: bool) -> bool:
        """Say whether a host can use its disk."""
        ...

    def take(self, name: str, step: Step) -> None:
        """Take one step by hand, as an administrator does.

        Raises:
            ImpossibleStepError: the kernel refuses it.
        """
        ...

    def login(
        self, name: str, initiator: Initiator, credentials: Credentials
    ) -> Session:
        """Log a host in; its session before, if there is one, is replaced.

        Raises:
            LoginRefusedError: for whatever reason.
        """
        ...

    def activate(self, device: str) -> None:
        """Let a logical volume have its device."""
        ...

    def deactivate(self, device: str) -> None:
        """Take the device of a logical volume away."""
        ...

    def rename(self, device: str, name: str) -> None:
        """Let a logical volume have another path; who has it open goes on."""
        ...

    def is_open(self, device: str) -> bool:
        """Say whether somebody has the device of a logical volume open."""
        ...


#: Makes a LIO.
MakeKernel = Callable[[], SimulatedKernel]
