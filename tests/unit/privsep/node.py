# SPDX-License-Identifier: Apache-2.0
"""A storage node that is imitated: its kernel, its devices, and hosts that log in.

The driver's own code runs over it, from ``NodesKernel`` down to ``privsep.files``.
"""

import contextlib
import dataclasses
import errno
import ipaddress
import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from unittest import mock

from taikun_cinder import privsep
from taikun_cinder.access.model import Credentials, Initiator, Portal
from taikun_cinder.exception import StepFailed
from taikun_cinder.privsep import modules
from taikun_cinder.privsep.refusal import KernelRefused
from taikun_cinder.targets.lio.kernel import LostError, NodesKernel
from taikun_cinder.targets.lio.states import LUN, LioState
from taikun_cinder.targets.lio.steps import Step
from tests.contract.world import LoginRefused
from tests.unit.privsep.configfs import Configfs
from tests.unit.privsep.iscsi_target import Entry, Fabric, Node, Target, Tpg
from tests.unit.privsep.mount import POINT, KilledError, Mount
from tests.unit.privsep.target_core import CORE, Device, Machine, TargetCore

TARGET = Path(POINT) / "target"

#: A folder that nobody can make, for who needs no persistent reservations.
_NOWHERE = "/proc/no-db-root"


@dataclasses.dataclass(frozen=True)
class Access:
    """One way to a device, as the kernel itself would let it be used.

    Attributes:
        initiator: the name to log in by; ``*`` for any.
        credentials: what has to be proved; None for nothing.
        index: of the LUN that is seen.
        device: the path of the device behind it.
        writing: whether this is about writing.
    """

    initiator: str
    credentials: tuple[str, str] | None
    index: int
    device: str
    writing: bool

    def is_covered(self, others: Collection["Access"]) -> bool:
        """Say whether others give at least as much."""
        names, proofs = {"*", self.initiator}, {None, self.credentials}
        return any(
            dataclasses.replace(self, initiator=name, credentials=proof) in others
            for name in names
            for proof in proofs
        )


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

    def modprobe(self) -> None:
        """Load the modules of LIO, as ``privsep.modules.load`` does.

        Raises:
            KernelRefused: one of them is not installed.
        """
        for name in modules._MODULES:
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
            mock.patch.object(privsep.context, "client_mode", False),
        ):
            yield

    def add_device(self, path: str) -> str:
        """Make a block device."""
        self.machine.devices.setdefault(path, Device())
        return path

    def in_use(self, path: str) -> bool:
        """Say whether a backstore has a device open."""
        return self.machine.devices[path].holder is not None

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
            access for tpg in tpgs if tpg.enabled for access in _access(tpg)
        )

    def login(
        self, name: str, portal: Portal, initiator: Initiator, proof: Credentials | None
    ) -> "ImitatedSession":
        """Log a host in; its session before, if there is one, is replaced.

        Raises:
            LoginRefused: for whatever reason.
        """
        target = self.targets.get(name)
        for tpg in target.tpgs if target is not None else []:
            if tpg.enabled and any(_covers(there, portal) for there in tpg.portals):
                return _login(tpg, initiator.name, proof)
        raise LoginRefused(f"nobody listens at {portal} for {name}")


class ImitatedSession:
    """A host that is logged in, with LUN 0 as its disk."""

    def __init__(self, tpg: Tpg, node: Node) -> None:
        self._tpg, self._node = tpg, node

    @property
    def alive(self) -> bool:
        """Whether the target has not ended it."""
        return self._node.session is self

    @property
    def serial(self) -> str:
        """The unit serial that the host reads from its disk."""
        backstore = self._entry().lun.backstore
        return "" if backstore is None else backstore.serial

    @property
    def device(self) -> str | None:
        """The path of the device that it has as its disk; None if it has none."""
        with contextlib.suppress(OSError):
            backstore = self._entry().lun.backstore
            return None if backstore is None else backstore.device_path
        return None

    @property
    def may_write(self) -> bool:
        """Whether its disk takes what it writes."""
        return self.device is not None and not self._entry().read_only

    def write(self, content: bytes) -> None:
        """Write to the disk."""
        if self._entry().read_only:
            raise OSError(errno.EREMOTEIO, "write protected")
        self._disk().content = content

    def read(self) -> bytes:
        """Read from the disk what was written last."""
        return self._disk().content

    def logout(self) -> None:
        """Log out."""
        if self.alive:
            self._tpg.end_session(self._node)

    def _entry(self) -> Entry:
        entry = self._node.entries.get(LUN) if self.alive else None
        if entry is None:
            raise OSError(errno.EIO, "there is no disk")
        return entry

    def _disk(self) -> Device:
        backstore = self._entry().lun.backstore
        if backstore is None or backstore.device is None:
            raise OSError(errno.EIO, "there is no disk")
        return backstore.device


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


def _required(tpg: Tpg, node: Node) -> bool:
    """Say whether a login has to prove anything (iscsi_conn_auth_required())."""
    inherited = node.dynamic or node.authentication < 0
    return bool(tpg.attrib["authentication"] if inherited else node.authentication)


def _login(tpg: Tpg, name: str, proof: Credentials | None) -> ImitatedSession:
    node = tpg.nodes.get(name)
    if node is None:
        if not tpg.attrib["generate_node_acls"]:
            raise LoginRefused(f"there is no ACL for {name}")
        node = Node(name, dynamic=True)
    auth = tpg.demo_auth if node.dynamic else node.auth
    pair = None if proof is None else (proof.username, proof.password)
    # A host that is not asked for a proof of its own refuses to give one.
    if _required(tpg, node) and (auth.pair is None or auth.pair != pair or auth.mutual):
        raise LoginRefused(f"{name} did not prove that it is that")
    if name not in tpg.nodes:
        tpg.show_all_luns(node)
        tpg.nodes[name] = node
    return begin_session(tpg, node)


def begin_session(tpg: Tpg, node: Node) -> ImitatedSession:
    """Log a host in without asking; its session before is replaced."""
    session = ImitatedSession(tpg, node)
    node.session = session
    return session


def _access(tpg: Tpg) -> Iterator[Access]:
    for node in tpg.nodes.values():
        if node.name != node.name.lower():
            continue  # iscsi_target_locate_portal() turns a name to lower case
        auth = tpg.demo_auth if node.dynamic else node.auth
        # Nor is a target that is to prove itself, too, an obstacle to who wants in.
        if not _required(tpg, node) or auth.pair is not None:
            proof = auth.pair if _required(tpg, node) else None
            yield from _ways(node.name, proof, node.entries)
    if tpg.attrib["generate_node_acls"]:
        anybody = Node("*", dynamic=True)
        tpg.show_all_luns(anybody)
        if not _required(tpg, anybody) or tpg.demo_auth.pair is not None:
            proof = tpg.demo_auth.pair if _required(tpg, anybody) else None
            yield from _ways("*", proof, anybody.entries)


def _ways(
    name: str, proof: tuple[str, str] | None, entries: dict[int, Entry]
) -> Iterator[Access]:
    for index, entry in entries.items():
        if entry.lun.backstore is not None:
            path = entry.lun.backstore.device_path
            yield Access(name, proof, index, path, writing=False)
            if not entry.read_only:
                yield Access(name, proof, index, path, writing=True)


def _covers(there: Portal, portal: Portal) -> bool:
    anywhere = ipaddress.ip_address(there.address)
    return there.covers(portal) or (
        anywhere == ipaddress.ip_address("::") and there.port == portal.port
    )
