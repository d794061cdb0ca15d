# SPDX-License-Identifier: Apache-2.0
"""A cluster whose back end Pacemaker moves between two storage nodes."""

import time

from lab.cluster import VOLUME_SERVICE, Cluster, Progress
from lab.errors import LogError
from lab.node import Node
from lab.plan import COMPUTE_NODES, STORAGE_PAIR
from lab.power import PowerSwitch
from lab.services.cinder_conf import ETC, backend
from lab.services.files import write_settings
from tests.lab import hosts
from tests.lab.guest import pacemaker
from tests.lab.guest.shared_group import GROUP, RECORDS

GUEST = "tests.lab.guest.pacemaker"

BACKEND = "lvm-moving"
#: What Cinder calls the back end, wherever it is.
HOST = f"moving@{BACKEND}"
_FILE = f"{BACKEND}.conf"


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
        hosts.prepare(self.host)
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

    def wait_until_it_is_served(self) -> None:
        """Wait until a cinder-volume takes the back end's requests.

        Raises:
            LabError: none does.
        """
        queue = f"{VOLUME_SERVICE}.{HOST}.{HOST.partition('@')[0]}"
        self._wait_for_consumers(queue, 1, timeout=300)

    def down(self) -> None:
        """End it."""
        self.power.close()
        super().down()
