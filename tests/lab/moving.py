# SPDX-License-Identifier: Apache-2.0
"""A cluster whose back end Pacemaker moves between two storage nodes."""

import time
from typing import Any

from lab import attachments
from lab.cluster import VOLUME_SERVICE, Cluster, Progress
from lab.errors import LogError
from lab.guest.iscsi import REPLACEMENT_TIMEOUT
from lab.node import Node
from lab.plan import COMPUTE_NODES, STORAGE_PAIR
from lab.power import PowerSwitch
from lab.services.cinder_conf import ETC, backend
from lab.services.files import write_settings
from tests.lab.guest import pacemaker
from tests.lab.guest.shared_group import GROUP, RECORDS

GUEST = "tests.lab.guest.pacemaker"

BACKEND = "lvm-moving"
#: What Cinder calls the back end, wherever it is.
HOST = f"moving@{BACKEND}"
_FILE = f"{BACKEND}.conf"

#: How long a host waits for its target, in seconds: the lab's, and what hosts need.
_SHORT = f"replacement_timeout = {REPLACEMENT_TIMEOUT}$"
_LONG = "replacement_timeout = 120"


def prepare_host(host: Node) -> None:
    """Let a host be several initiators, which wait for their targets.

    They are to be several hosts, and not one with several paths: to those multipathd
    gives a time-out of its own, 5 s.
    """
    host.run("multipathd shutdown")
    # Not in /sys, where a session has it until it is logged in again.
    host.run(f"sed -i 's/{_SHORT}/{_LONG}/' /etc/iscsi/iscsid.conf")


def acls(node: Node) -> set[str]:
    """Give the names of the initiators that a storage node lets in to any target."""
    folders = "/sys/kernel/config/target/iscsi/iqn.*/tpgt_1/acls"
    names = node.run(f"ls {folders} 2>/dev/null || true").split()
    return {name.rpartition(":")[2] for name in names}


class MovingCluster(Cluster):
    """A control plane, two storage nodes with one disk, and a host.

    Attributes:
        power: the switch that the storage nodes can cut each other's power with.
    """

    plans = (*STORAGE_PAIR, COMPUTE_NODES[0])

    @property
    def storage(self) -> list[Node]:
        """The storage nodes."""
        return [self.nodes[plan.name] for plan in STORAGE_PAIR]

    @property
    def host(self) -> Node:
        """The host."""
        return self.nodes[COMPUTE_NODES[0].name]

    def _start_back_end(self, progress: Progress) -> None:
        progress("giving the back end to Pacemaker")
        self.power = PowerSwitch(self.storage)
        section = backend(
            BACKEND,
            volume_group=GROUP,
            backend_host=HOST.partition("@")[0],
            target_ip_address=pacemaker.ADDRESS,
            taikun_floating_addresses=pacemaker.ADDRESS,
            taikun_state_path=str(RECORDS),
        )
        settings = {"DEFAULT": {"enabled_backends": BACKEND}, BACKEND: section}
        write_settings(self.work.path / "etc/cinder" / _FILE, settings)
        for node in self.storage:
            self.join(node)
        first, _ = self.storage
        first.call(GUEST, "make_group", self.user)
        for node in self.storage:
            node.call(GUEST, "start")
        file = f"{ETC}/{_FILE}"
        first.call(GUEST, "make_back_end_with_service", BACKEND, file, self.user)
        prepare_host(self.host)
        first.call(GUEST, "wait_for", first.name)
        self.wait_for_volume_service(backend=BACKEND)

    def join(self, node: Node) -> None:
        """Let a storage node that has booted be one of the two."""
        node.call(GUEST, "join_services", list(STORAGE_PAIR), self.user)

    def wait_for_volume_service(
        self,
        timeout: float = 300,
        name: str = VOLUME_SERVICE,
        backend: str = BACKEND,
    ) -> None:
        """Wait until the scheduler knows what the back end can do.

        Raises:
            LogError: it does not; the log of cinder-volume tells why.
        """
        deadline = time.monotonic() + timeout
        while not any(f"@{backend}#" in pool for pool in self.pools()):
            if time.monotonic() > deadline:
                log = self.work.log(name)
                raise LogError(f"{backend} did not come up in {timeout:.0f} s", log)
            time.sleep(0.5)

    def down(self) -> None:
        """End it."""
        self.power.close()
        super().down()


class Hosts:
    """Initiators of the host, each with an attachment of one volume.

    Args:
        cluster: where.
        volume: the volume's id.
        user: whose it is.
    """

    def __init__(self, cluster: MovingCluster, volume: str, user: str) -> None:
        self._cluster, self._volume, self._user = cluster, volume, user
        self._attachments: dict[str, str] = {}
        self.told: dict[str, Any] = {}
        self.disks: dict[str, str] = {}

    def attach(self, name: str) -> None:
        """Attach it to one more, as Nova does."""
        call = self._cluster.host.call
        self._attachments[name], self.told[name] = attachments.let_in(
            self._cluster.clients,
            self._user,
            self._volume,
            call("lab.guest.initiators", "connector", name),
        )
        self.disks[name] = call("lab.guest.initiators", "login", name, self.told[name])

    def detach(self, name: str) -> None:
        """Detach it from one."""
        host, clients = self._cluster.host, self._cluster.clients
        host.call("lab.guest.initiators", "logout", name, self.told[name])
        cinder = clients.volume(self._user, "nova")
        cinder.attachments.delete(self._attachments.pop(name))
        del self.disks[name]

    def detach_all(self) -> None:
        """Detach it from all."""
        for name in list(self._attachments):
            self.detach(name)
