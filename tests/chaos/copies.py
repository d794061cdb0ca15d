# SPDX-License-Identifier: Apache-2.0
"""Copies of a volume that hosts share: each is the volume at one time of its making."""

import contextlib
import threading
import time
from typing import Any

from cinderclient import exceptions

from lab.demo import USER
from lab.errors import LabError
from lab.plan import SECOND_GROUP, VOLUME_GROUP
from tests.chaos.book import Book
from tests.chaos.cluster import SECOND_BACKEND, ChaosCluster
from tests.chaos.guest import worker
from tests.chaos.people import await_status, until_done

#: How long Cinder may take for a copy, in seconds: it copies some gigabytes.
_PATIENCE = 300

#: How long it may take to delete them, and how long until one tries again, in seconds.
_DELETES, _GONE = 120, 40

#: The statuses that each can be deleted in.
_DELETABLE = ("available", "error")


class Copies:
    """The copies of one volume.

    Args:
        cluster: where.
        book: of the run.
        volume: the volume's id.
        blocks: how many of its sectors are written to.
    """

    def __init__(
        self, cluster: ChaosCluster, book: Book, volume: str, blocks: int
    ) -> None:
        self._cluster, self._book = cluster, book
        self._volume, self._blocks = volume, blocks
        self._name = f"copy of {volume}"

    def _cinder(self) -> Any:
        return self._cluster.clients.volume(USER)

    def snapshot(self) -> None:
        """Take a snapshot, and look at it."""
        begun = self._book.now()
        manager = self._cinder().volume_snapshots
        made = manager.create(self._volume, force=True)
        await_status(manager, made.id, "available", _PATIENCE)
        path = f"/dev/{VOLUME_GROUP}/_snapshot-{made.id}"
        self._look(f"snapshot {made.id}", path, begun, self._book.now())

    def clone(self) -> None:
        """Make a volume of it, and look at it."""
        begun = self._book.now()
        manager = self._cinder().volumes
        made = manager.create(
            manager.get(self._volume).size, source_volid=self._volume, name=self._name
        )
        await_status(manager, made.id, "available", _PATIENCE)
        ended = self._book.now()
        self._look(f"clone {made.id}", device(self._cluster, made.id), begun, ended)

    def backup(self) -> None:
        """Make a backup, restore it to another volume, and look at this one."""
        begun = self._book.now()
        cinder = self._cinder()
        made = cinder.backups.create(self._volume, name=self._name, force=True)
        await_status(cinder.backups, made.id, "available", _PATIENCE)
        ended = self._book.now()
        restored = cinder.restores.restore(made.id, name=self._name)
        await_status(cinder.volumes, restored.volume_id, "available", _PATIENCE)
        path = device(self._cluster, restored.volume_id)
        self._look(f"backup {made.id}", path, begun, ended)

    def _look(self, name: str, path: str, begun: float, ended: float) -> None:
        values = look(self._cluster, path, self._blocks)
        self._book.looked(name, self._volume, values, begun, ended, copy=True)

    def tidy(self) -> None:
        """Delete those that there are.

        Raises:
            LabError: some are still there.
        """
        if not until_done(self._delete_all, _DELETES):
            raise LabError(f"there are copies of volume {self._volume} still")

    def _delete_all(self) -> None:
        by_name, by_volume = {"name": self._name}, {"volume_id": self._volume}
        self._delete("volumes", by_name)
        self._delete("backups", by_name)
        self._delete("volume_snapshots", by_volume)

    def _delete(self, kind: str, which: dict[str, str]) -> None:
        admin = getattr(self._cluster.clients.volume("admin"), kind)
        manager = getattr(self._cinder(), kind)
        for one in manager.list(search_opts=which):
            with contextlib.suppress(exceptions.NotFound):
                if one.status not in _DELETABLE:
                    # A service that is killed leaves a status without a way out.
                    admin.reset_state(one.id, "error")
                manager.delete(one.id)
        deadline = time.monotonic() + _GONE
        while manager.list(search_opts=which):
            if time.monotonic() > deadline:
                raise LabError(f"there are {kind} of {which} still")
            threading.Event().wait(0.5)


def device(cluster: ChaosCluster, volume: str) -> str:
    """Give the path of a volume's logical volume."""
    found = cluster.clients.volume("admin").volumes.get(volume).to_dict()
    backend = found["os-vol-host-attr:host"].partition("@")[2].partition("#")[0]
    group = SECOND_GROUP if backend == SECOND_BACKEND else VOLUME_GROUP
    name = found["os-vol-mig-status-attr:name_id"] or volume
    return f"/dev/{group}/volume-{name}"


def look(cluster: ChaosCluster, path: str, blocks: int) -> list[str]:
    """Give the values of the first blocks of a logical volume."""
    storage = cluster.nodes["storage"]
    # A thin snapshot is not active, and LVM is to be told twice that it is meant.
    activate = f"lvchange --activate y --ignoreactivationskip {path}"
    storage.run(f"test -e {path} || {activate}")
    return list(storage.call(worker.__name__, "read_all", path, blocks))
