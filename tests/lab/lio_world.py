# SPDX-License-Identifier: Apache-2.0
"""Our LIO target in the one-kernel node, and hosts that log in to it."""

import contextlib
from collections.abc import Collection
from typing import Any

from lab.node import Call
from taikun_cinder.access.model import (
    Credentials,
    Export,
    ExportState,
    Grant,
    Initiator,
    Portal,
)
from taikun_cinder.targets.base import Finding, Result
from taikun_cinder.targets.inspection import Inspection
from taikun_cinder.targets.lio.states import LioState
from taikun_cinder.targets.lio.steps import Step
from taikun_cinder.targets.lio.target import LioTarget
from tests.contract.lio import LioLab
from tests.contract.world import LoginRefused

_GUEST = "tests.lab.guest.lio"


class KernelInNode:
    """The node's LIO, read inside the node; the target changes it there by itself."""

    def __init__(self, process: Call) -> None:
        self._process = process

    def read(self, name: str, **how: Any) -> LioState:
        found: LioState = self._process(_GUEST, "ask", "read", name, **how)
        return found


class TargetInNode(LioTarget):
    """The contract's calls, made inside the node."""

    def __init__(self, process: Call) -> None:
        super().__init__()
        self._process = process

    def read(self, name: str) -> ExportState:
        found: ExportState = self._process(_GUEST, "call", "read", name)
        return found

    def ensure(
        self,
        name: str,
        desired: Export | None,
        about: Collection[Initiator] | None = None,
        *,
        search: bool = True,
    ) -> Result:
        result: Result = self._process(
            _GUEST, "call", "ensure", name, desired, about, search=search
        )
        return result

    def inspect(self, name: str) -> Inspection:
        found: Inspection = self._process(_GUEST, "call", "inspect", name)
        return found

    def revoke(self, name: str, initiator: Initiator) -> bool:
        return bool(self._process(_GUEST, "call", "revoke", name, initiator))

    def findings(self, name: str, desired: Export | None) -> tuple[Finding, ...]:
        return tuple(self._process(_GUEST, "call", "findings", name, desired))

    def names(self, prefix: str) -> frozenset[str]:
        return frozenset(self._process(_GUEST, "call", "names", prefix))


class HostSession:
    """A host that logged in by iscsiadm."""

    def __init__(
        self, process: Call, host: str, information: dict[str, Any], path: str
    ) -> None:
        self._process, self._host, self._information = process, host, information
        self.path = path
        self._id = self._now()

    @property
    def lun(self) -> int:
        """The LUN that is its disk."""
        return int(self._information["target_lun"])

    def other(self, lun: int) -> "HostSession":
        """Give another disk of the same session, once the host has looked for it."""
        names = self._information["initiator"], self._information["target_iqn"]
        self._process("lab.guest.initiators", "look_for_luns", *names)
        path = self._process("lab.guest.initiators", "disk", *names, lun)
        other = {**self._information, "target_lun": lun}
        return HostSession(self._process, self._host, other, str(path))

    def _now(self) -> str | None:
        name, initiator = (
            self._information["target_iqn"],
            self._information["initiator"],
        )
        found: str | None = self._process(_GUEST, "session_id", name, initiator)
        return found

    @property
    def alive(self) -> bool:
        """Whether LIO has the same session still, and not one after it."""
        return self._now() == self._id is not None

    @property
    def identity(self) -> dict[str, str]:
        """The disk's serial and world-wide name, as the host's kernel has them."""
        return dict(self._process("lab.guest.blocks", "identity", self.path))

    @property
    def serial(self) -> str:
        return self.identity["serial"].rstrip("\0")

    def write(self, content: bytes) -> None:
        self._process("lab.guest.blocks", "write", self.path, 0, content.decode())

    def read(self) -> bytes:
        return str(self._process("lab.guest.blocks", "read", self.path, 0)).encode()

    def logout(self) -> None:
        self._process(_GUEST, "log_out", self._host, self._information)

    def forget(self) -> None:
        """Log out what the target has ended, if iscsid still has it."""
        with contextlib.suppress(RuntimeError):
            session = self._host, self._information
            self._process("lab.guest.initiators", "logout", *session)


class NodeWorld:
    """The node, empty, with our target."""

    prefix = "iqn.2010-10.org.openstack:"
    portals = (Portal("127.0.0.1"), Portal("::1"))

    def __init__(self, process: Call) -> None:
        self._process = process
        self.target = TargetInNode(process)
        self.kernel = KernelInNode(process)
        self._devices = self._logins = 0
        self._sessions: dict[tuple[str, Initiator], HostSession] = {}

    def guest(self, function: str, *arguments: Any) -> Any:
        """Call a function of the guest's LIO tools."""
        return self._process(_GUEST, function, *arguments)

    def device(self) -> str:
        self._devices += 1
        return str(self.guest("make_volume", f"volume-{self._devices}"))

    def in_use(self, device: str) -> bool:
        return bool(self.guest("in_use", device))

    def login(
        self,
        name: str,
        portal: Portal,
        initiator: Initiator,
        credentials: Credentials,
        lun: int = 0,
    ) -> HostSession:
        before = self._sessions.get((name, initiator))
        if before is not None and before.alive and before.lun != lun:
            return before.other(lun)
        if before is not None and not before.alive:
            before.forget()  # the host's iscsid goes on trying
        self._logins += 1
        # A second session takes a second record.
        host = f"{initiator.name[-1]}{self._logins}"
        information = {
            "target_iqn": name,
            "target_portal": str(portal),
            "target_lun": lun,
            "initiator": initiator.name,
            "auth_method": "CHAP",
            "auth_username": credentials.username,
            "auth_password": credentials.password,
        }
        try:
            path = self._process("lab.guest.initiators", "login", host, information)
        except RuntimeError as refused:
            raise LoginRefused(str(refused)) from refused
        session = HostSession(self._process, host, information, str(path))
        self._sessions[name, initiator] = session
        return session

    def damage(self, name: str, step: Step) -> None:
        self.guest("take", name, step)


class NodeLab(LioLab):
    """The node with one volume in it."""

    world: NodeWorld

    def login(self, grant: Grant, lun: int | None = None) -> HostSession:
        session = super().login(grant, lun)
        assert isinstance(session, HostSession)
        return session
