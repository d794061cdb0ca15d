# SPDX-License-Identifier: Apache-2.0
"""The cluster of a run: three hosts, and what the keepers' deeds need."""

import signal
from collections.abc import Collection

from lab.cluster import BACKUP_SERVICE, VOLUME_SERVICE, Cluster
from lab.plan import CLUSTER, SECOND_GROUP, STORAGE_NODE, THIRD_HOST
from lab.services.cinder_conf import BACKEND, add_backends, backend

#: Where volumes are moved to and from.
SECOND_BACKEND = "lvm-second"

#: In seconds; the lab's own time-out is made for kernels that are only slow.
_GIVES_UP = "30"

#: Of the thin pool: small, and in large pieces, so that it is soon full.
_POOL, _CHUNK = "4g", "1m"


class ChaosCluster(Cluster):
    """A cluster with three hosts."""

    plans = (*CLUSTER, THIRD_HOST)
    #: Whether cinder-backup runs on the storage node.
    backs_up = False

    def prepare(self, deeds: Collection[str], *, thin: bool) -> None:
        """Bring up what a run needs beside a usual cluster.

        Args:
            deeds: what is done to volumes, see ``deeds``.
            thin: whether the volumes are in a thin pool.
        """
        settings = self.control.settings()
        # What a killed service took along is to be given up soon.
        settings["DEFAULT"]["rpc_response_timeout"] = _GIVES_UP
        moves = "move" in deeds
        if moves:
            second = backend(SECOND_BACKEND, volume_group=SECOND_GROUP)
            add_backends(settings, {SECOND_BACKEND: second})
        if thin:
            settings[BACKEND]["lvm_type"] = "thin"
            storage = self.nodes[STORAGE_NODE.name]
            storage.call("tests.chaos.guest.disks", "make_pool", _POOL, _CHUNK)
        self.control.configure(settings)
        self.control.restart("cinder-api")
        if moves or thin:
            # It has done nothing yet that it would have to finish.
            end = ("lab.guest.daemons", "end", VOLUME_SERVICE, signal.SIGKILL)
            self.nodes[STORAGE_NODE.name].call(*end)
            self.start_volume_service()
        if "backup" in deeds:
            self.start_backup_service(STORAGE_NODE.name)
            self.backs_up = True
        for name in (BACKEND, SECOND_BACKEND) if moves else (BACKEND,):
            self.wait_for_volume_service(backend=name)

    def start_storage_services(self) -> None:
        """Start what ran on the storage node before it lost its power."""
        self.start_volume_service()
        if self.backs_up:
            self.start_backup_service(STORAGE_NODE.name)

    def start_what_ended(self) -> None:
        """Start what has ended by itself, as systemd does (Restart=on-failure).

        Cinder's services end where there is no database at their start.
        """
        storage = self.nodes[STORAGE_NODE.name]
        alive = ("lab.guest.daemons", "alive")
        if not storage.call(*alive, VOLUME_SERVICE):
            self.start_volume_service()
        if self.backs_up and not storage.call(*alive, BACKUP_SERVICE):
            self.start_backup_service(STORAGE_NODE.name)
