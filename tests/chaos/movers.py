# SPDX-License-Identifier: Apache-2.0
"""Whoever moves a volume from one back end to the other, and deletes it."""

import concurrent.futures
import functools
import threading
import time
from collections.abc import Sequence
from typing import Any

from cinderclient import exceptions

from lab.demo import USER
from lab.errors import LabError
from lab.node import Node
from lab.services.cinder_conf import BACKEND
from tests.chaos.book import Book
from tests.chaos.cluster import SECOND_BACKEND, ChaosCluster
from tests.chaos.copies import device, look
from tests.chaos.people import (
    Person,
    await_retype,
    await_status,
    failure,
    until_done,
)
from tests.chaos.sharers import Sharer

#: Between two volumes, in seconds.
_PAUSE = (1, 10)

#: How long Cinder may take to make or delete one, and to move it, in seconds.
_MAKES, _DELETES, _MOVES = 60, 120, 300

#: How long until one tries again to delete it, in seconds.
_GONE = 40

#: The migration statuses of a volume that does not migrate.
_STILL = (None, "none", "success", "error")

#: How often a host comes to the volume before it is moved.
_VISITS = 2

#: When a host comes after a migration has begun, in seconds.
_COMES = (0, 10)


class Mover(Person):
    """A user of volumes that live at one back end, and then at the other.

    Args:
        cluster, book, blocks, seed: see ``Person``.
        types: the name of the type that keeps a volume at each of the back ends.
        anywhere: the name of one that lets it be at any.
        hosts: that attach it.

    Attributes:
        moved: the ids of all volumes.
        sharers: the servers that used them.
    """

    def __init__(
        self,
        cluster: ChaosCluster,
        book: Book,
        blocks: int,
        seed: str,
        types: dict[str, str],
        anywhere: str,
        hosts: Sequence[Node],
    ) -> None:
        super().__init__(cluster, book, "", blocks, seed)
        self._types, self._anywhere, self._hosts = types, anywhere, hosts
        self.moved: list[str] = []
        self.sharers: list[Sharer] = []

    @property
    def _lane(self) -> str:
        return f"mover, volume {self._volume[:8]}"

    def _live(self, stop: threading.Event) -> None:
        """Move one volume after the other until the event is set."""
        while not stop.wait(self._chance.uniform(*_PAUSE)):
            error = failure(self.tidy) or failure(functools.partial(self._use, stop))
            if error is not None:
                text = f"{type(error).__name__}: {error}".splitlines()[0][:200]
                self._book.note(self._lane, text, self._book.now(), good=False)
                self._count("in vain")

    def _use(self, stop: threading.Event) -> None:
        """Create a volume, use it, move it, use it again, and delete it."""
        visit = functools.partial(self._visit, stop)
        move = functools.partial(self._move, stop)
        for deed in (self._create, visit, move, visit, self.tidy):
            if stop.is_set():
                return  # with what is left for the end
            deed()
        self._count("moved and deleted")

    def _cinder(self) -> Any:
        return self._cluster.clients.volume(USER)

    def _create(self) -> None:
        self._by_type = self._chance.random() < 0.5
        name = self._types[BACKEND] if self._by_type else self._anywhere
        volumes = self._cinder().volumes
        self._volume = str(volumes.create(1, name="moved", volume_type=name).id)
        self.moved.append(self._volume)
        await_status(volumes, self._volume, "available", _MAKES)

    def _visit(self, stop: threading.Event) -> None:
        """Let hosts come and go, one after the other, and look at what they left."""
        for _ in range(_VISITS):
            sharer = self._sharer()
            sharer.visit(stop)
            self._take_leave(sharer)
        self._look()

    def _sharer(self) -> Sharer:
        """Give somebody on any host who is to use the volume."""
        sharer = Sharer(
            self._cluster,
            self._book,
            self._volume,
            self._blocks,
            str(self._chance.random()),
            self._chance.choice(self._hosts),
        )
        self.sharers.append(sharer)
        return sharer

    def _take_leave(self, sharer: Sharer) -> None:
        for name, times in sharer.done.items():
            self.done[name] = self.done.get(name, 0) + times
        if sharer.left:
            raise LabError(f"a host has volume {self._volume} still")

    def _look(self) -> None:
        begun = self._book.now()
        path = device(self._cluster, self._volume)
        values = look(self._cluster, path, self._blocks)
        name = f"look {begun:.1f} at {self._volume}"
        self._book.looked(name, self._volume, values, begun, self._book.now())

    def _move(self, stop: threading.Event) -> None:
        """Move it in one of the ways that there are, and look at it there."""
        volumes = self._cinder().volumes
        await_status(volumes, self._volume, "available", _MAKES)
        way = "retype to another back end" if self._by_type else "migration"
        if not self._by_type and self._chance.random() < 0.5:
            way = "migration while a host comes"
        with self._book.during(self._lane, way):
            if self._by_type:
                other = self._types[SECOND_BACKEND]
                volumes.retype(self._volume, other, "on-demand")
                await_retype(volumes, self._volume, other, _MOVES)
            elif way == "migration":
                here, there = self._begin_migration()
                if self._end_migration() != there:
                    raise LabError(f"volume {self._volume} is not moved from {here}")
            else:
                self._migrate_beside_a_host(stop)
            await_status(volumes, self._volume, "available", _MAKES)
        self._look()
        self._count(way)

    def _migrate_beside_a_host(self, stop: threading.Event) -> None:
        """Let a host come meanwhile. It may be refused, or the migration given up.

        Whichever it is, what the host wrote has to be on the volume then.
        """
        sharer, late = self._sharer(), self._chance.uniform(*_COMES)

        def visit() -> None:
            self._cluster.sandbox.join_network()
            stop.wait(late)
            sharer.visit(stop)

        here, _ = self._begin_migration()
        with concurrent.futures.ThreadPoolExecutor(1) as executor:
            visited = executor.submit(visit)
            ended = self._end_migration()
            visited.result()
        self._take_leave(sharer)
        # An attachment that is deleted meanwhile leaves the volume's status as it was
        # (volume_detached in cinder.db); an operator resets it.
        admin = self._cluster.clients.volume("admin").volumes
        admin.reset_state(self._volume, "available", "detached")
        self._count("migration given up" if ended == here else "migration done beside")

    def _begin_migration(self) -> tuple[str, str]:
        """Ask for it; give the pools that the volume leaves, and that it goes to."""
        admin = self._cluster.clients.volume("admin").volumes
        here = admin.get(self._volume).to_dict()["os-vol-host-attr:host"]
        (there,) = (name for name in self._cluster.pools() if name != here)
        # By a host's copy: over iSCSI, as if the back ends were on two nodes.
        admin.migrate_volume(self._volume, there, self._chance.random() < 0.5, False)
        return here, there

    def _end_migration(self) -> str:
        """Wait for its end; give the pool that the volume is in then.

        Raises:
            LabError: it does not end in time.
        """
        admin = self._cluster.clients.volume("admin").volumes
        deadline = time.monotonic() + _MOVES
        while True:
            found = admin.get(self._volume).to_dict()
            state = found["os-vol-mig-status-attr:migstat"]
            if state in ("success", "error"):
                return str(found["os-vol-host-attr:host"])
            if time.monotonic() > deadline:
                raise LabError(f"volume {self._volume} is still {state}")
            threading.Event().wait(0.5)

    def tidy(self) -> None:
        """Delete the volume, if there is one.

        Raises:
            LabError: it is still there.
        """
        if self._volume and not until_done(self._delete, _DELETES):
            raise LabError(f"volume {self._volume} cannot be deleted")
        self._volume = ""

    def _delete(self) -> None:
        admin = self._cluster.clients.volume("admin").volumes
        try:
            found = admin.get(self._volume).to_dict()
            moves = found["os-vol-mig-status-attr:migstat"] not in _STILL
            if moves or found["status"] not in ("available", "error"):
                # A service that is killed leaves a status without a way out.
                admin.reset_state(self._volume, "error", "detached", "none")
            admin.delete(self._volume)
            deadline = time.monotonic() + _GONE
            while admin.get(self._volume) and time.monotonic() < deadline:
                threading.Event().wait(0.5)
        except exceptions.NotFound:
            return
        self._log_out()
        raise LabError(f"volume {self._volume} is still there")

    def _log_out(self) -> None:
        """Log the node out that copied the volume, as an operator does.

        A copy that broke off leaves its session behind, and who is logged in keeps the
        volume from its deletion.
        """
        mine = f"iscsiadm -m session 2>/dev/null | grep -o 'iqn[^ ]*{self._volume}'"
        storage = self._cluster.nodes["storage"]
        storage.run(f"for name in $({mine}); do iscsiadm -m node -T $name -u; done")
