# SPDX-License-Identifier: Apache-2.0
"""A storage node that is imitated: its kernel, its devices, and hosts that log in.

The driver's own code runs over it, from ``NodesKernel`` down to ``privsep.files``.
"""

import contextlib
import errno
import functools
import os
import tempfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from taikun_cinder import privsep
from taikun_cinder.access.model import Credentials, Initiator, Portal
from taikun_cinder.exception import StepFailed
from taikun_cinder.privsep import backstores, memory, modules, ours, turns
from taikun_cinder.privsep.refusal import KernelRefused
from taikun_cinder.targets.inspection import Inspection
from taikun_cinder.targets.lio.kernel import LostError, NodesKernel
from taikun_cinder.targets.lio.states import LioState
from taikun_cinder.targets.lio.steps import Step
from tests.contract.world import LoginRefused
from tests.unit.privsep import sessions
from tests.unit.privsep.configfs import Configfs
from tests.unit.privsep.iscsi_target import Fabric, Target, portals_of
from tests.unit.privsep.mount import POINT, KilledError, Mount
from tests.unit.privsep.portals import covers
from tests.unit.privsep.sessions import Access, ImitatedSession
from tests.unit.privsep.target_core import CORE, Device, Machine, TargetCore

TARGET = Path(POINT) / "target"

#: A folder that nobody can make, for who needs no persistent reservations.
_NOWHERE = "/proc/no-db-root"


#: What root of such a node lets the driver use.
_OURS = ours.Ours(volume_groups=("vg",))


def mapped(real: Path, _number: int | None) -> str:
    """Give the device mapper's name of an imitated logical volume."""
    return "-".join(part.replace("-", "--") for part in real.parts[-2:])


def names_of_backstores() -> list[str]:
    """Give the names of all block backstores, as this process sees the node."""
    return [folder.rpartition("/")[2] for folder in backstores.folders("iblock_")]


class ImitatedNode:
    """A storage node that has just booted.

    Attributes:
        machine: its modules and devices.
        configfs: its configfs.
        mount: counts and ends what this process does to it.
    """

    def __init__(self, db_root: str = _NOWHERE) -> None:
        self.machine = Machine(db_root)
        self.configfs = Configfs()
        self.mount = Mount(self.configfs, self.machine.devices)
        self._fabric = Fabric()

    @functools.cached_property
    def _turns(self) -> Any:
        """A file for locks of the kernel's, which the imitated configfs has not."""
        return tempfile.NamedTemporaryFile()

    def modprobe(self, *more: str) -> None:
        """Load the modules of LIO, as ``privsep.modules.load`` does.

        Raises:
            KernelRefused: one of them is not installed.
        """
        for name in (*modules._MODULES, *more):
            if not self.machine.request_module(name):
                raise KernelRefused(-1, "load", "modprobe", errno.ENOPKG)
        root = self.configfs.root
        if CORE in self.machine.loaded and "target" not in root.folders:
            root.add_default("target", TargetCore(self.machine, self._new_fabric))

    def _new_fabric(self) -> Fabric:
        self._fabric = Fabric()
        return self._fabric

    def set_up(self) -> None:
        """Make LIO ready, as the first change does, but for the folder of db_root."""
        self.modprobe()
        self.configfs.mkdir("target/iscsi")

    @contextlib.contextmanager
    def mounted(self) -> Iterator[None]:
        """Let this process see the node, and act as its privileged process."""
        with (
            self.mount.mounted(),
            mock.patch.object(modules, "load", self.modprobe),
            mock.patch.object(turns, "FILE", Path(self._turns.name)),
            mock.patch.object(ours, "current", return_value=_OURS),
            mock.patch.object(ours, "mapped", mapped),
            mock.patch.object(
                memory, "is_cleared", return_value=self.machine.clears_memory
            ),
            mock.patch.object(privsep.context, "client_mode", False),
        ):
            yield

    def add_device(self, path: str) -> str:
        """Make a block device."""
        self.machine.devices.setdefault(path, Device())
        return path

    def in_use(self, path: str) -> bool:
        """Say whether a backstore has a device open."""
        return bool(self.machine.devices[path].openers)

    def get(self, path: str) -> str:
        """Read an attribute below ``target`` by hand."""
        found = self.configfs.open(f"target/{path}", os.O_RDONLY)
        return self.configfs.read(found).decode().removesuffix("\n")

    def put(self, path: str, text: str) -> None:
        """Write an attribute below ``target`` by hand."""
        found = self.configfs.open(f"target/{path}", os.O_WRONLY)
        self.configfs.write(found, text.encode())

    def make(self, path: str) -> None:
        """Make an object below ``target`` by hand."""
        self.configfs.mkdir(f"target/{path}")

    def link(self, path: str, to: str) -> None:
        """Bind one object below ``target`` to another by hand."""
        self.configfs.symlink(f"target/{to}", f"target/{path}")

    def unlink(self, path: str) -> None:
        """Undo a binding below ``target`` by hand."""
        self.configfs.unlink(f"target/{path}")

    @property
    def targets(self) -> dict[str, Target]:
        """The kernel's own targets, by name."""
        return self._fabric.targets

    def access(self, name: str) -> frozenset[Access]:
        """Give every way that leads to a device by a target, portals or not."""
        target = self.targets.get(name)
        tpgs = target.tpgs if target is not None else []
        return frozenset(
            way for tpg in tpgs if tpg.enabled for way in sessions.access(tpg)
        )

    def login(
        self, name: str, portal: Portal, initiator: Initiator, proof: Credentials | None
    ) -> ImitatedSession:
        """Log a host in; its session before, if there is one, is replaced.

        Raises:
            LoginRefused: for whatever reason.
        """
        target = self.targets.get(name)
        for tpg in target.tpgs if target is not None else []:
            if tpg.enabled and any(covers(there, portal) for there in portals_of(tpg)):
                return sessions.login(tpg, initiator.name, proof)
        raise LoginRefused(f"nobody listens at {portal} for {name}")


class ImitatedKernel(NodesKernel):
    """The LIO of an imitated node, asked and changed as a real one is.

    A kill of the privileged process (``Mount.kill_at``) is told as its loss is.
    """

    def __init__(self, node: ImitatedNode) -> None:
        self.node = node

    def alone(self) -> contextlib.AbstractContextManager[object]:
        return contextlib.nullcontext()

    def read(
        self,
        name: str,
        *,
        search: bool = False,
        about: Collection[Initiator] | None = None,
    ) -> LioState:
        with self.node.mounted():
            return super().read(name, search=search, about=about)

    def apply(self, name: str, steps: Sequence[Step]) -> None:
        try:
            with self.node.mounted():
                super().apply(name, steps)
        except KilledError as killed:
            self.node.mount.kill_at = None
            failure = StepFailed(target=name, step=f"one of {steps}", cause="killed")
            raise LostError(failure, ConnectionResetError("killed")) from killed

    def names(self, prefix: str) -> frozenset[str]:
        with self.node.mounted():
            return super().names(prefix)

    def inspect(self, name: str) -> Inspection:
        with self.node.mounted():
            return super().inspect(name)
