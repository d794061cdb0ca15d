# SPDX-License-Identifier: Apache-2.0
"""Several hosts on one kernel that have a volume, and stay while its back end moves."""

import contextlib
from collections.abc import Iterator
from typing import Any, Protocol

from lab import attachments
from lab.clients import Clients
from lab.guest.iscsi import REPLACEMENT_TIMEOUT
from lab.node import Node
from lab.pair import Pair
from lab.workdir import WorkFolder
from tests.lab.conftest import folder
from tests.lab.recorded import Recorded
from tests.lab.stories import OURS

_GUEST = "lab.guest.initiators"

#: How long a host of the lab waits for its target, in seconds.
_SHORT = f"replacement_timeout = {REPLACEMENT_TIMEOUT}$"
#: iscsiadm's status when the target does not let an initiator in.
_REFUSED = 24


def prepare(host: Node, seconds: int = 120) -> None:
    """Let a kernel be several hosts, which wait for their targets.

    They are not to be one host with several paths: to those multipathd gives a time-out
    of its own, 5 s.

    Args:
        host: the kernel.
        seconds: how long they wait.
    """
    host.run("multipathd shutdown")
    # Not in /sys, where a session has it until it is logged in again.
    longer = f"replacement_timeout = {seconds}"
    host.run(f"sed -i 's/{_SHORT}/{longer}/' /etc/iscsi/iscsid.conf")


@contextlib.contextmanager
def pair(name: str, seconds: int = 120) -> Iterator[Pair]:
    """Give two storage nodes and a kernel for hosts, which wait for this long."""
    made = Pair(WorkFolder(folder(name)))
    made.up()
    try:
        prepare(made.host, seconds)
        yield made
    finally:
        made.down()


def acls(node: Node) -> set[str]:
    """Give the names of the hosts that a storage node lets in to any target."""
    folders = "/sys/kernel/config/target/iscsi/iqn.*/tpgt_1/acls"
    names = node.run(f"ls {folders} 2>/dev/null || true").split()
    return {name.rpartition(":")[2] for name in names}


class Volume(Protocol):
    """A volume that hosts are attached to."""

    def attach(self, connector: dict[str, Any]) -> tuple[str, Any]:
        """Attach a host; give the attachment's id, and the connection information."""

    def detach(self, attachment: str) -> None:
        """End an attachment."""


class OfApi:
    """A volume, by Cinder's API.

    Args:
        clients: of the cluster.
        user: whose it is.
        volume_id: its id.
    """

    def __init__(self, clients: Clients, user: str, volume_id: str) -> None:
        self._clients, self._user, self._id = clients, user, volume_id

    def attach(self, connector: dict[str, Any]) -> tuple[str, Any]:
        """Attach a host, as Nova does."""
        return attachments.let_in(self._clients, self._user, self._id, connector)

    def detach(self, attachment: str) -> None:
        """End an attachment, as Nova does."""
        self._clients.volume(self._user, "nova").attachments.delete(attachment)


class OfDriver:
    """A volume, by a driver that runs in a process of a storage node.

    Args:
        process: the process.
        volume_id: its id; by default it is a new one.
    """

    def __init__(self, process: Any, volume_id: str = "") -> None:
        self._process = process
        self.id = volume_id or process.backend("create_volume")

    def attach(self, connector: dict[str, Any]) -> tuple[str, Any]:
        """Attach a host."""
        information = self._process.backend("attach", self.id, connector, None)
        return information["attachment_id"], information

    def detach(self, attachment: str) -> None:
        """End an attachment."""
        self._process.backend("detach", attachment)


@contextlib.contextmanager
def driver(node: Node, options: dict[str, str], volume_id: str = "") -> Iterator[Any]:
    """Start the driver in a process of the node that has the back end; give a volume.

    Args:
        node: the node.
        options: of the back end.
        volume_id: the volume's; by default it is a new one.
    """
    with node.session() as process:
        process("lab.guest.volume", "start", OURS, options)
        yield OfDriver(process, volume_id)


class Hosts:
    """The hosts of one kernel that have a volume.

    Args:
        node: the kernel.

    Attributes:
        told: of each host, the connection information that it got last.
        disks: of each that is attached, its disk.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._attachments: dict[str, str] = {}
        self.told: dict[str, Any] = {}
        self.disks: dict[str, str] = {}

    def attach(self, volume: Volume, *names: str) -> None:
        """Attach hosts."""
        for name in names:
            connector = self._node.call(_GUEST, "connector", name)
            self._attachments[name], self.told[name] = volume.attach(connector)
            self.disks[name] = self._login(name)

    def _login(self, name: str) -> str:
        return str(self._node.call(_GUEST, "login", name, self.told[name]))

    def detach(self, volume: Volume, *names: str) -> None:
        """Detach hosts."""
        for name in names:
            self._node.call(_GUEST, "logout", name, self.told[name])
            volume.detach(self._attachments.pop(name))
            del self.disks[name]

    def is_let_in(self, name: str) -> bool:
        """Say whether the target lets a host in with what it was told once."""
        try:
            self._login(name)
        except RuntimeError as refused:
            if f"ended with {_REFUSED}" not in str(refused):
                raise
            return False
        return True

    def identity(self, name: str) -> Any:
        """Give what a host's disk says that it is."""
        return self._node.call("lab.guest.blocks", "identity", self.disks[name])

    def reserve(self, *names: str) -> None:
        """Let hosts register for writing, the first of them with the reservation.

        It is to outlive a loss of the target's power (APTPL), and lets nobody write
        who is not registered (type 5).
        """
        for name in names:
            key = f"0x{name.encode().hex()}"
            self._persist(name, f"--out --register --param-aptpl --param-sark={key}")
            if name == names[0]:
                self._persist(name, f"--out --reserve --param-rk={key} --prout-type=5")

    def reservation(self, name: str) -> list[str]:
        """Give what a host is told of the keys of all, and of the reservation."""
        said = self._persist(name, "--in --read-keys")
        said += self._persist(name, "--in --read-reservation")
        # A kernel counts what it was asked, and begins anew.
        lines = (line.partition("PR generation=")[0] for line in said.splitlines())
        return [line.strip() for line in lines if line.strip()]

    def _persist(self, name: str, arguments: str) -> str:
        return self._node.run(f"sg_persist -n {arguments} {self.disks[name]}")

    def record(self, work: WorkFolder) -> Recorded:
        """Let all write and read from now on, and record it."""
        recorded = Recorded(self._node, work, dict(self.disks))
        recorded.wait_until_all_go_on(30)
        return recorded
