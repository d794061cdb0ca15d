# SPDX-License-Identifier: Apache-2.0
"""What there is in a run: a storage node with its services, hosts, volumes, servers."""

import math
import random
import re
from collections.abc import Callable

from taikun_cinder.targets.lio.target import LioTarget
from tests.simulate.actors import Process
from tests.simulate.backends import Backend, Content, SimVolumeGroup
from tests.simulate.decisions import Decisions
from tests.simulate.disk import Disk, Folder, SimPath
from tests.simulate.expected import Expected
from tests.simulate.fabric import Fabric
from tests.simulate.kernel import SimKernel
from tests.simulate.kernels import MakeKernel, SimulatedKernel
from tests.simulate.memory_store import MemoryStore
from tests.simulate.model import Host, Use
from tests.simulate.patches import Run
from tests.simulate.schedule import Scheduler
from tests.simulate.stores import MakeStore
from tests.simulate.tables import Values, made_id

#: In how many passes a row must be missing, and how many live hosts a pass may cut off
#: for it (taikun_max_revocations).
_MISSING, _LIMIT = 2, 3


class World:
    """All of a run, but what is done in it.

    Args:
        decisions: on all that is left to chance.
        shape: decides what there is.
        kernel: makes the LIO of the storage node.
        database: makes Cinder's database.

    Attributes:
        begin: begins the next operation; says whether there was one.
        watch: looks after the laws.
        scheduler: has the turns.
        servers: by name, the ids of Nova's servers.
        volumes: by name, the ids of volumes.
        lost: the rows of attachments that the database has lost, by their ids.
        lost_services: the same of services, by their hosts.
        rule: what second servers get of volumes without a type, and on how many hosts
            they may be; 0 for any number.
        has_other_prefix: whether target_prefix was changed in it.
    """

    begin: Callable[[], bool]
    watch: Callable[[], None]

    def __init__(
        self,
        decisions: Decisions,
        shape: random.Random,
        kernel: MakeKernel = SimKernel,
        database: MakeStore = MemoryStore,
    ) -> None:
        self.begin, self.watch = lambda: False, lambda: None
        self.scheduler = Scheduler(decisions, self._begin, self._watch, self._boot)
        Run.scheduler, Run.locks, Run.tokens = self.scheduler, {}, 0
        self.disk = SimPath.disk = Disk(self.scheduler)
        folder = Folder()
        # The driver's start has made it.
        for names in (self.disk.root.names, self.disk.root.synced):
            names["state"] = folder
        self.database = database(self.scheduler)
        self.kernel: SimulatedKernel = kernel()
        self.api = Process("api")
        self.hosts = {name: Host(name) for name in ("h1", "h2", "h3", "h4")}
        self.servers = {name: made_id(name) for name in ("s1", "s2", "s3", "s4", "s5")}
        self.backends = {
            name: Backend(name, self) for name in ("b1", "b2")[: shape.choice((1, 2))]
        }
        self.volumes: dict[str, str] = {}
        self.expected = Expected(self.scheduler, self.kernel, self.disk, self._nameless)
        self.fabric = Fabric(self.kernel, self.scheduler, self.hosts, self.expected)
        self.has_other_prefix = False
        self.rule = ("rw", 0)
        self._types: dict[str, set[str]] = {}
        self.lost: dict[str, Values] = {}
        self.lost_services: dict[str, Values] = {}
        #: How often each volume was written to by a server.
        self._writes: dict[str, int] = {}
        #: How many requests of Cinder's API there were that have an id.
        self.requests = 0

    def _begin(self) -> bool:
        return self.begin()

    def _watch(self) -> None:
        self.watch()

    def passes_before(self, use: Use) -> int:
        """Give how many passes of its back end's reconcile can see nothing new of it.

        That is all that have begun but the last ones, which may be under way.
        """
        backend = self.backend_of(use.volume)
        return backend.passes - max(1, backend.under_way)

    def find_rows(self) -> None:
        """Bring back the rows that the database has lost."""
        self.database.find(self.lost.values(), self.lost_services.values())
        self.lost.clear()
        self.lost_services.clear()

    def must_reach(self, use: Use) -> bool:
        """Say whether a use's server must have its disk now."""
        if not self.expected.must_reach(use):
            return False
        if use.missing_since is None or self._is_held(use):
            return True
        use.may_be_cut_off = True  # and nothing lets it in again by itself
        return False

    def _is_held(self, use: Use) -> bool:
        """Say whether the brake must hold a revocation that missing rows ask for."""
        backend = self.backend_of(use.volume)
        if backend.host not in self.database.services:
            return True
        if backend.passes - (use.missing_since or 0) < _MISSING:
            return True
        there = {
            (one.volume, one.host.name)
            for one in self.expected.uses
            if one.may_reach and one.missing_since is None
        }
        lost = {
            (one.volume, one.host.name)
            for one in self.expected.uses
            if one.missing_since is not None and self.backend_of(one.volume) is backend
            if not one.is_old  # its row does not say whose it is
            # The brake counts hosts that are logged in.
            if one.session is not None and not one.may_be_cut_off
        }
        return len(lost - there) > _LIMIT

    def _nameless(self, volume: str) -> float:
        """Say of how many hosts a volume's attachments may be that name none."""
        found = self.database.nameless(volume)
        # They may have been told another target, if there was another prefix.
        return math.inf if found and self.has_other_prefix else found

    def types_of(self, volume: str) -> set[str]:
        """Give all types that a volume has had."""
        return self._types.setdefault(volume, set())

    def gives_readers(self, volume: str) -> bool:
        """Say whether a volume's rule makes, or may have made, readers of servers."""
        return self.rule[0] == "ro" or "readers" in self.types_of(volume)

    def is_limited(self, volume: str) -> bool:
        """Say whether a volume has, or may have had, a rule for second attachments."""
        return self.rule != ("rw", 0) or bool(self.types_of(volume) - {"shared"})

    def places_of(self, use: Use) -> set[str]:
        """Give where a use's host may have its volume.

        That is where it was when it was asked for, or is now: what was not ended there
        is the volume's, in its record. What a migration has made is another's now.
        """
        if use.volume in self.database.migrations:
            return use.places
        return {*use.places, self.place_of(use.volume)}

    def names_of(self, use: Use) -> set[str]:
        """Give the names that a use's host may have been told its volume by."""
        return {place.rpartition("/")[2] for place in self.places_of(use)}

    def name_of(self, volume: str) -> str:
        """Give the name of a volume's logical volume."""
        row = self.database.volumes[volume]
        return f"volume-{row['_name_id'] or row['id']}"

    def target(self) -> LioTarget:
        """Give what exports."""
        return LioTarget(self.kernel.asked())

    def add_volume(self, name: str, backend: str) -> str:
        """Make a volume; give its id."""
        id_ = made_id(name)
        self.volumes[name] = id_
        self.database.make_volume(id_, f"{self.backends[backend].host}#pool")
        self.backends[backend].group.put(self.name_of(id_), (id_, 0))
        return id_

    def place_of(self, volume: str) -> str:
        """Give the path of a volume's logical volume, as its row says."""
        return self.backend_of(volume).group.path(self.name_of(volume))

    def begin_use(self, use: Use) -> None:
        """Take note that somebody asks to let a use's host in."""
        use.places.add(self.place_of(use.volume))
        self.expected.begin_use(use)

    def content(self, path: str) -> Content:
        """Give what is on a logical volume, by one of the paths that it has."""
        group, name = self.volume_at(path)
        return group.contents.get(name)

    def volume_at(self, path: str) -> tuple[SimVolumeGroup, str]:
        """Give a logical volume by one of its paths: its group, and its name there."""
        _, _, group, name = path.split("/")
        if group == "mapper":
            found = re.split("(?<!-)-(?!-)", name)
            group, name = (part.replace("--", "-") for part in found)
        groups = (one.group for one in self.backends.values())
        return next(one for one in groups if one.vg_name == group), name

    def latest(self, volume: str) -> Content:
        """Give what must be on a volume."""
        return volume, self._writes.get(volume, 0)

    def write(self, use: Use) -> None:
        """Let a use's server write to its disk, if it can."""
        if use.session is None or not self.kernel.can(use.session, write=True):
            return
        group, name = self.volume_at(self.kernel.device(use.session.name))
        if group.contents.get(name) == self.latest(use.volume):
            self._writes[use.volume] = self._writes.get(use.volume, 0) + 1
            group.contents[name] = self.latest(use.volume)

    def backend_of(self, volume: str) -> Backend:
        """Give the back end of a volume."""
        host = str(self.database.volumes[volume]["host"]).partition("#")[0]
        return next(one for one in self.backends.values() if host in one.hosts)

    def is_reachable(self, volume: str) -> bool:
        """Say whether requests about a volume come to its service.

        They do not where that was renamed, and its volumes were not moved to it yet.
        """
        host = str(self.database.volumes[volume]["host"]).partition("#")[0]
        return self.backend_of(volume).host == host

    def move_volumes(self, backend: Backend) -> None:
        """Give a renamed back end its volumes (cinder-manage volume update_host)."""
        for row in self.database.volumes.values():
            if str(row["host"]).partition("#")[0] in backend.hosts:
                row["host"] = f"{backend.host}#pool"

    def _boot(self, how: int) -> None:
        """Let the storage node lose its power, and boot again."""
        self.scheduler.tell("the storage node loses its power, and boots")
        for backend in self.backends.values():
            backend.process.dead = True
        for actor in self.scheduler.actors:
            actor.process.dead = actor.process.dead or actor.process.node
        for lock in Run.locks.values():
            lock.owner = None
        for use in self.expected.uses:
            guessed = use.is_unknown or use.is_guessed
            if use.missing_since is not None or guessed:
                use.may_be_cut_off = True  # no session speaks for it any more
        self.kernel.reset()
        self.disk.lose_power(how)
