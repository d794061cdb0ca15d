# SPDX-License-Identifier: Apache-2.0
"""A LIO of files: the imitated storage node, as a run asks it.

Who reaches a volume is what the imitated kernel itself would let in, and not what the
driver reads there.
"""

import contextlib
import dataclasses
from collections.abc import Collection, Iterator, Sequence

from taikun_cinder.access.model import Credentials, Initiator, Portal
from taikun_cinder.privsep import checks, readers
from taikun_cinder.privsep.changes import CHANGES
from taikun_cinder.targets.lio.kernel import Kernel
from taikun_cinder.targets.lio.states import LUN, READERS_SUFFIX
from taikun_cinder.targets.lio.steps import ImpossibleStepError, Step
from tests.contract.memory import LoginRefusedError
from tests.contract.world import LoginRefused
from tests.simulate import privileged
from tests.simulate.actors import Process
from tests.simulate.node import SimNode
from tests.unit.privsep import sessions
from tests.unit.privsep.configfs import Folder
from tests.unit.privsep.sessions import ImitatedSession
from tests.unit.privsep.target_core import Backstore
from tests.unit.privsep.tpg import Entry, Tpg

#: Where hosts of a run connect to.
_PORTAL = Portal("192.0.2.11")

#: The name of the backstore by which a kernel is tried.
_TRIAL = "trial"


@dataclasses.dataclass(eq=False)
class NodeSession:
    """A host that is logged in, with one LUN as its disk."""

    kernel: "NodeKernel"
    name: str
    initiator: Initiator
    found: ImitatedSession
    boots: int

    def other(self, lun: int) -> "NodeSession":
        """Give another disk of the same session."""
        return dataclasses.replace(self, found=self.found.other(lun))

    @property
    def alive(self) -> bool:
        """Whether it has not been ended."""
        return self.boots == self.kernel.boots and self.found.alive

    def logout(self) -> None:
        """Log out."""
        if self.alive:
            self.found.logout()
            self.kernel.changed.add(self.name)


class NodeKernel:
    """See ``kernels.SimulatedKernel``.

    Attributes:
        node: the storage node, since it booted last.
    """

    def __init__(self) -> None:
        self.changed: set[str] = set()
        self.boots = 0
        self._lack = ""
        self._boot()
        self._asked = privileged.over(lambda: self.node)

    def _boot(self) -> None:
        self.process = Process("kernel")
        self.node = SimNode(self._tell, self.process)
        self.lack = self._lack

    def _tell(self, path: str) -> None:
        """Take note of what was changed, by its path."""
        parts = path.split("/")
        if len(parts) > 2:
            name = parts[3 if parts[1] == "core" and len(parts) > 3 else 2]
            self.changed.add(name.removesuffix(READERS_SUFFIX))

    @property
    def lack(self) -> str:
        """What it lacks for readers' disks; empty for nothing."""
        return self._lack

    @lack.setter
    def lack(self, lack: str) -> None:
        self._lack = lack
        self.node.machine.reads_past_caches = not lack
        # Each boot is of another kernel, by turns, and so are the readers' backstores.
        self.node.machine.shares_devices = not lack and self.boots % 2 == 0

    def asked(self) -> Kernel:
        """Give it as the driver asks it."""
        return self._asked

    def reset(self) -> None:
        """Boot: nothing is exported, and what hung has gone."""
        self.process.dead = True
        self.changed.update(self.exported())
        self.boots += 1
        self._boot()

    def exported(self) -> Collection[str]:
        """Give the names of all that exists."""
        found = {name.removesuffix(READERS_SUFFIX) for name, _ in self._backstores()}
        found.update(self.node.targets)
        return sorted(name for name in found if name != _TRIAL)

    def initiators(self, name: str) -> Collection[Initiator]:
        """Give who has an ACL."""
        return {Initiator(one) for tpg in self._tpgs(name) for one in tpg.nodes}

    def serial(self, name: str) -> str:
        """Give the serial of a disk; empty for none."""
        for own, backstore in self._backstores():
            if own == name:
                return backstore.serial
        return ""

    def device(self, name: str) -> str:
        """Give the path of the device behind a disk; empty for none."""
        for own, backstore in self._backstores():
            if own == name:
                return backstore.device_path
        return ""

    def ways(self, name: str) -> Sequence[tuple[Initiator, bool]]:
        """Give who reaches a disk by a target, and whether he can write there."""
        return [
            (Initiator(one), writing)
            for tpg in self._tpgs(name)
            if tpg.enabled
            for one, entries in _reached(tpg)
            for writing in _ways(entries.values())
        ]

    def main_disks(self, name: str) -> Iterator[tuple[Initiator, object, bool]]:
        """Give who is logged in, by which session, and whether LUN 0 is there."""
        for tpg in self._tpgs(name):
            for node in tpg.nodes.values():
                if node.session is not None:
                    yield Initiator(node.name), node.session, LUN in node.entries

    def can(self, session: NodeSession, *, write: bool) -> bool:
        """Say whether a host can use its disk."""
        device = session.found.device if session.alive else None
        # It would be another volume's.
        if device is None or not session.name.endswith(device.rpartition("/")[2]):
            return False
        return session.found.may_write or not write

    def take(self, name: str, step: Step) -> None:
        """Take one step by hand, as an administrator does.

        Raises:
            ImpossibleStepError: the kernel refuses it.
        """
        what, *given = step.call
        change, _ = CHANGES[what]
        try:
            change(name, *given)
        except OSError:
            raise ImpossibleStepError(step) from None

    def login(
        self, name: str, initiator: Initiator, credentials: Credentials
    ) -> NodeSession:
        """Log a host in; its session before, if there is one, is replaced.

        Raises:
            LoginRefusedError: for whatever reason.
        """
        try:
            found = self.node.login(name, _PORTAL, initiator, credentials)
        except LoginRefused as refused:
            raise LoginRefusedError(str(refused)) from None
        self.changed.add(name)
        return NodeSession(self, name, initiator, found, self.boots)

    def activate(self, device: str) -> None:
        """Let a logical volume have its device."""
        self.node.add_device(device)

    def deactivate(self, device: str) -> None:
        """Take the device of a logical volume away."""
        self.node.machine.devices.pop(device, None)

    def rename(self, device: str, name: str) -> None:
        """Let a logical volume have another path; who has it open goes on."""
        devices = self.node.machine.devices
        if device in devices:
            devices[name] = devices.pop(device)

    def is_open(self, device: str) -> bool:
        """Say whether somebody has the device of a logical volume open."""
        found = self.node.machine.devices.get(device)
        return found is not None and bool(found.openers)

    def _tpgs(self, name: str) -> list[Tpg]:
        target = self.node.targets.get(name)
        return [] if target is None else target.tpgs

    def _backstores(self) -> Iterator[tuple[str, Backstore]]:
        """Give all backstores, with their names."""
        core: Folder | None = None
        with contextlib.suppress(OSError):
            core = self.node.configfs.folder("target/core")
        for hba in core.folders.values() if core is not None else ():
            for name, found in hba.folders.items():
                if isinstance(found, Backstore):
                    yield name, found


def _reached(tpg: Tpg) -> Iterator[tuple[str, dict[int, Entry]]]:
    """Give who can log in to a TPG, or has, and what he has then."""
    for name, _, entries in sessions.reachable(tpg):
        yield name, entries
    for node in tpg.nodes.values():
        if node.session is not None:
            yield node.name, node.entries


def _ways(entries: Collection[Entry]) -> Iterator[bool]:
    """Give for each disk whether it can be written to."""
    for entry in entries:
        backstore = entry.lun.backstore
        if backstore is not None:
            yield not entry.read_only or _can_be_tricked(backstore)


def _can_be_tricked(backstore: Backstore) -> bool:
    """Say whether it carries out what passes a write protection."""
    names = readers.CHANGING if backstore.shares_device else checks.PASSABLE
    return any(backstore.attrib[name] for name in names)
