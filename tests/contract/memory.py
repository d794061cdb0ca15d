# SPDX-License-Identifier: Apache-2.0
"""A LIO in memory, with hosts that log in: what the kernel does, without a kernel."""

import dataclasses
import threading
from collections.abc import Collection, Sequence

from taikun_cinder.access.model import Credentials, Initiator, Portal
from taikun_cinder.exception import StepFailed
from taikun_cinder.targets.inspection import Inspection, Reservation
from taikun_cinder.targets.lio.disk_steps import CreateReaders
from taikun_cinder.targets.lio.states import LUN, AclState, BackstoreState, LioState
from taikun_cinder.targets.lio.steps import AddPortal, Step, after
from taikun_cinder.targets.lio.target import LioTarget

#: What a LUN of the kernel's own answers who reads: what is in the node's memory.
CHANCE = b"\x00of the node's memory\xfe"


class LoginRefusedError(Exception):
    """The target does not let this host in."""


class FaultError(Exception):
    """A step failed because a test asked for it."""


class MemoryKernel:
    """A LIO that lives as long as this object.

    Attributes:
        lack: what it lacks for readers' disks; empty for nothing.
    """

    def __init__(self) -> None:
        self.lack = ""
        self._exports: dict[str, LioState] = {}
        self._sessions: dict[tuple[str, Initiator], Session] = {}
        self._devices: dict[str, bytes] = {}
        self._steps_until_fault: int | None = None
        #: Portals that somebody else listens at.
        self.taken: set[Portal] = set()
        #: By the target's name, the reservation of its main disk.
        self.reservations: dict[str, Reservation] = {}
        self._lock = threading.RLock()

    def read(
        self,
        name: str,
        *,
        search: bool = False,
        about: Collection[Initiator] | None = None,
    ) -> LioState:
        """Read what LIO has for one volume; here nothing has to be searched for."""
        with self._lock:
            found = self._exports.get(name, LioState(name))
            return found if about is None else found.only(about)

    def inspect(self, name: str) -> Inspection:
        """Read the details of one volume's export; all hosts have one address."""
        found = self.read(name)
        return Inspection(
            found.tpg.portals if found.tpg else frozenset(),
            dict.fromkeys(found.sessions, "192.0.2.200"),
            self.reservations.get(name, Reservation()),
        )

    def apply(self, name: str, steps: Sequence[Step]) -> None:
        """Take some steps."""
        with self._lock:
            for number, step in enumerate(steps):
                try:
                    self._step(name, step)
                except Exception as error:
                    failure = StepFailed(target=name, step=step, cause=error)
                    failure.number = number
                    raise failure from error

    def names(self, prefix: str) -> frozenset[str]:
        """List the names with a prefix of all that exists, wholly or in part."""
        with self._lock:
            return frozenset(name for name in self._exports if name.startswith(prefix))

    def waiting(self) -> Sequence[tuple[str, float]]:
        """Tell what has not been answered: here everything is, at once."""
        return ()

    def lack_of_readers_disk(self) -> str:
        """Say what the kernel lacks for readers' disks; see ``lack``."""
        return self.lack

    def fail_before(self, step: int | None) -> None:
        """Let one step fail: 0 for the next one; None for no fault after all."""
        self._steps_until_fault = step

    def take(self, name: str, step: Step) -> None:
        """Take one step by hand, as an administrator does who edits configfs."""
        with self._lock:
            self.put(after(self.read(name), step))

    def put(self, observed: LioState) -> None:
        """Replace what there is for one volume, as a crash or a reboot does."""
        with self._lock:
            self._exports[observed.name] = observed
            if observed == LioState(observed.name):
                del self._exports[observed.name]
            for name, initiator in tuple(self._sessions):
                if name == observed.name and initiator not in observed.sessions:
                    del self._sessions[name, initiator]

    def login(
        self, name: str, initiator: Initiator, credentials: Credentials, lun: int = LUN
    ) -> "Session":
        """Log a host in; its session before, if there is one, is replaced.

        Raises:
            LoginRefusedError: for whatever reason; LIO gives none either.
        """
        with self._lock:
            observed = self.read(name)
            tpg, acl = observed.tpg, observed.acls.get(initiator)
            if tpg is None or not tpg.enabled or acl is None:
                raise LoginRefusedError(name)
            if acl.credentials != credentials:
                raise LoginRefusedError(name)
            self._sessions.pop((name, initiator), None)
            self._set_session(observed, initiator, acl, alive=True)
            session = Session(self, name, initiator, lun)
            self._sessions[name, initiator] = session
            return session

    def logout(self, name: str, initiator: Initiator) -> None:
        """End the session of a host that logs out or dies."""
        with self._lock:
            observed = self.read(name)
            if initiator in observed.acls:
                acl = observed.acls[initiator]
                self._set_session(observed, initiator, acl, alive=False)

    def is_current(self, session: "Session") -> bool:
        """Say whether the target still knows this session."""
        with self._lock:
            current = self._sessions.get((session.name, session.initiator))
            return current is (session.first or session)

    def backstore_of(self, session: "Session") -> BackstoreState | None:
        """Give the backstore behind a session's disk."""
        observed = self.read(session.name)
        names = {0: observed.backstore, 1: observed.readers}
        return names[session.lun]

    def device_of(self, session: "Session", *, writing: bool) -> str:
        """Give the device that a session reaches.

        Raises:
            OSError: there is none, or it is write-protected.
        """
        observed = self.read(session.name)
        acl = observed.acls.get(session.initiator)
        current = acl is not None and self.is_current(session)
        mapped_lun = acl.mapped.get(session.lun) if acl and current else None
        backstore = self.backstore_of(session)
        if mapped_lun is None or mapped_lun.lun is None or backstore is None:
            raise OSError("input/output error")
        name = (observed.name, observed.readers_name)[session.lun]
        if observed.luns.get(mapped_lun.lun) != name:
            raise OSError("input/output error")
        if writing and mapped_lun.write_protect:
            raise OSError("write protected")
        return backstore.device

    def is_virtual(self, session: "Session") -> bool:
        """Say whether a session's disk is a LUN of the kernel's own.

        LIO shows it under 0 where an ACL has nothing there (``tpg_virt_lun0``).
        """
        acl = self.read(session.name).acls.get(session.initiator)
        current = acl is not None and self.is_current(session)
        return bool(current and acl and session.lun == LUN and LUN not in acl.mapped)

    def content(self, device: str) -> bytes:
        """Give what is on a device."""
        return self._devices.get(device, b"")

    def fill(self, device: str, content: bytes) -> None:
        """Replace what is on a device."""
        self._devices[device] = content

    def _step(self, name: str, step: Step) -> None:
        if isinstance(step, AddPortal) and step.portal in self.taken:
            raise FaultError("address in use")
        if self.lack and isinstance(step, CreateReaders):
            raise FaultError(self.lack)
        if self._steps_until_fault is not None:
            self._steps_until_fault -= 1
            if self._steps_until_fault < 0:
                self._steps_until_fault = None
                raise FaultError("a test asked for it")
        self.take(name, step)

    def _set_session(
        self, observed: LioState, initiator: Initiator, acl: AclState, *, alive: bool
    ) -> None:
        target, tpg = observed.target, observed.tpg
        if target is None or tpg is None:
            return
        acls = {**tpg.acls, initiator: dataclasses.replace(acl, session=alive)}
        tpg = dataclasses.replace(tpg, acls=acls)
        target = dataclasses.replace(target, tpg=tpg)
        self.put(dataclasses.replace(observed, target=target))


@dataclasses.dataclass(eq=False)
class Session:
    """A host that is logged in, with one LUN as its disk."""

    kernel: MemoryKernel
    name: str
    initiator: Initiator
    lun: int = LUN
    first: "Session | None" = None

    def other(self, lun: int) -> "Session":
        """Give another disk of the same session."""
        return dataclasses.replace(self, lun=lun, first=self.first or self)

    @property
    def alive(self) -> bool:
        """Whether it has not been ended."""
        return self.kernel.is_current(self)

    @property
    def serial(self) -> str:
        """The unit serial that the disk shows; empty without a disk."""
        backstore = self.kernel.backstore_of(self)
        return backstore.serial if backstore else ""

    def write(self, content: bytes) -> None:
        """Write to the disk.

        Raises:
            OSError: the target refuses it.
        """
        device = self.kernel.device_of(self, writing=True)
        self.kernel.fill(device, content)

    def read(self) -> bytes:
        """Read from the disk what was written last.

        Raises:
            OSError: the target refuses it.
        """
        if self.kernel.is_virtual(self):
            return CHANCE
        return self.kernel.content(self.kernel.device_of(self, writing=False))

    def logout(self) -> None:
        """Log out."""
        self.kernel.logout(self.name, self.initiator)


class MemoryTarget(LioTarget):
    """Exports by a LIO in memory."""

    def __init__(self) -> None:
        self.kernel = MemoryKernel()
        super().__init__(self.kernel)
