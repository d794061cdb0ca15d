# SPDX-License-Identifier: Apache-2.0
"""The in-memory LIO of the contract's tests, with turns, hangs and power losses."""

import contextlib
from collections.abc import Collection, Iterator, Sequence

from taikun_cinder.access.model import Initiator
from taikun_cinder.exception import (
    StepFailed,
    StepUnfinished,
    TargetBusy,
    TargetUnreadable,
)
from taikun_cinder.targets.inspection import Inspection
from taikun_cinder.targets.lio.kernel import Kernel, LostError
from taikun_cinder.targets.lio.states import LioState
from taikun_cinder.targets.lio.steps import ImpossibleStepError, Step
from tests.contract.memory import MemoryKernel, Session
from tests.simulate.actors import Process
from tests.simulate.locks import Lock
from tests.simulate.patches import Run
from tests.simulate.schedule import Scheduler

#: How long a caller waits for a step, and how long one hangs, in seconds.
_PATIENCE, _HANGS = 30.0, 45.0

#: How long a call waits for another on the same target, in seconds.
_TURN = 0.5


class SimKernel(MemoryKernel):
    """A LIO that can be booted, and looked at by nobody of the run.

    Attributes:
        changed: the names of what was changed since somebody looked.
        boots: how often it was booted.
        process: what hangs in it; it ends with a boot.
    """

    def __init__(self) -> None:
        super().__init__()
        self.changed: set[str] = set()
        self.boots = 0
        self.process = Process("kernel")
        #: By target, who is at work on it.
        self._turns: dict[str, Lock] = {}
        #: By the path of a logical volume, the one that it was opened by before.
        self._renamed: dict[str, str] = {}

    def asked(self) -> Kernel:
        """Give it as the driver asks it."""
        return Calls(self, Run.scheduler, self._turns)

    def put(self, observed: LioState) -> None:
        super().put(observed)
        self.changed.add(observed.name)

    def reset(self) -> None:
        """Boot: nothing is exported, and what hung has gone."""
        self.process.dead = True
        self.process = Process("kernel")
        self._sessions.clear()
        self._turns.clear()
        self._renamed.clear()
        self.changed.update(self._exports)
        self._exports.clear()
        self.boots += 1

    def exported(self) -> Collection[str]:
        """Give the names of all that exists."""
        return self._exports.keys()

    def initiators(self, name: str) -> Collection[Initiator]:
        """Give who has an ACL."""
        return self.read(name).acls.keys()

    def serial(self, name: str) -> str:
        """Give the serial of a disk; empty for none."""
        backstore = self.read(name).backstore
        return "" if backstore is None else backstore.serial

    def device(self, name: str) -> str:
        """Give the path of the device behind a disk; empty for none."""
        backstore = self.read(name).backstore
        return "" if backstore is None else backstore.device

    def activate(self, device: str) -> None:
        """Let a logical volume have its device; here it always has."""

    def deactivate(self, device: str) -> None:
        """Take the device of a logical volume away."""

    def is_open(self, device: str) -> bool:
        """Say whether somebody has the device of a logical volume open."""
        paths = {device, self._renamed.get(device, device)}
        return any(
            found is not None and found.device in paths
            for state in self._exports.values()
            for found in (state.backstore, state.readers)
        )

    def rename(self, device: str, name: str) -> None:
        """Let a logical volume have another path; who has it open goes on."""
        self._renamed[name] = self._renamed.pop(device, device)

    def ways(self, name: str) -> list[tuple[Initiator, bool]]:
        """Give who reaches a disk by a target, and whether he can write there."""
        observed = self.read(name)
        if observed.tpg is None or not observed.tpg.enabled:
            return []
        found = []
        for initiator, acl in observed.acls.items():
            if acl.credentials is None and not acl.session:
                continue
            for mapped in acl.mapped.values():
                if mapped.lun is not None and observed.luns.get(mapped.lun):
                    found.append((initiator, not mapped.write_protect))
        return found

    def main_disks(self, name: str) -> Iterator[tuple[Initiator, object, bool]]:
        """Give who is logged in, by which session, and whether LUN 0 is there."""
        for (target, initiator), session in self._sessions.items():
            if target == name:
                yield initiator, session, not self.is_virtual(session)

    def can(self, session: Session, *, write: bool) -> bool:
        """Say whether a host can use its disk."""
        try:
            self.device_of(session, writing=write)
        except OSError:
            return False
        return True


class Calls:
    """The calls to a LIO, each of which can fail, hang, or be lost on the way.

    Args:
        kernel: the LIO.
        scheduler: has the turns.
        turns: by target, who is at work on it.
    """

    def __init__(
        self, kernel: SimKernel, scheduler: Scheduler, turns: dict[str, Lock]
    ) -> None:
        self._kernel, self._scheduler, self._turns = kernel, scheduler, turns

    def read(
        self,
        name: str,
        *,
        search: bool = False,
        about: Collection[Initiator] | None = None,
    ) -> LioState:
        """Read what LIO has for one volume."""
        if self._scheduler.step("kernel: read", ("unreadable",)):
            raise TargetUnreadable(target=name, cause="a fault of the run")
        turn = self._turn(name)
        try:
            return self._kernel.read(name, search=search, about=about)
        finally:
            turn.release()

    def inspect(self, name: str) -> Inspection:
        """Read the details of one volume's export."""
        return self._kernel.inspect(name)

    def names(self, prefix: str) -> frozenset[str]:
        """List the names with a prefix of all that exists."""
        if self._scheduler.step("kernel: names", ("unreadable",)):
            raise TargetUnreadable(target=prefix, cause="a fault of the run")
        return self._kernel.names(prefix)

    def waiting(self) -> Sequence[tuple[str, float]]:
        """Tell what has not been answered: nothing."""
        return ()

    def lack_of_readers_disk(self) -> str:
        """Say what the kernel lacks for readers' disks."""
        return self._kernel.lack

    def apply(self, name: str, steps: Sequence[Step]) -> None:
        """Take some steps."""
        turn = self._turn(name)
        let_go = True
        try:
            for number, step in enumerate(steps):
                way = self._scheduler.step(
                    f"kernel: {step}", ("refused", "lost", "lost after", "hangs")
                )
                if way == "hangs":
                    let_go = False
                    self._hang(name, step, turn)
                if way == "lost":
                    _lose(name, step)
                if way == "refused":
                    raise _refused(name, step, number)
                try:
                    self._kernel.take(name, step)
                except ImpossibleStepError:
                    raise _refused(name, step, number) from None
                self._scheduler.tell(f"{name[-12:]}: {step}")
                if way == "lost after":
                    _lose(name, step)
        finally:
            if let_go:
                turn.release()

    def _turn(self, name: str) -> Lock:
        turn = self._turns.setdefault(name, Lock(self._scheduler))
        if not turn.acquire(timeout=_TURN):
            raise TargetBusy(target=name, cause="another call has not come back")
        return turn

    def _hang(self, name: str, step: Step, turn: Lock) -> None:
        """Let a step come late: its caller does not wait for it so long."""

        def come_back() -> None:
            self._scheduler.sleep(_HANGS)
            # Somebody may have changed by hand what it stands on.
            with contextlib.suppress(ImpossibleStepError):
                self._kernel.take(name, step)
                self._scheduler.tell(f"{name[-12:]}: {step}, late")
            turn.release()

        self._scheduler.spawn(f"hangs: {step}", self._kernel.process, come_back)
        self._scheduler.sleep(_PATIENCE)
        raise StepUnfinished(target=name, step=step, cause="it hangs")


def _refused(name: str, step: Step, number: int) -> StepFailed:
    failure = StepFailed(target=name, step=step, cause="refused")
    failure.number = number
    return failure


def _lose(name: str, step: Step) -> None:
    failure = StepFailed(target=name, step=step, cause="lost")
    raise LostError(failure, ConnectionResetError("lost"))
