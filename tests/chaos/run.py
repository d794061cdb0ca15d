# SPDX-License-Identifier: Apache-2.0
"""One run: hosts share volumes while things break, and then all is looked at."""

import dataclasses
import functools
import random
import threading
import time
import uuid
from collections.abc import Callable, Sequence

from lab import attachments
from lab.demo import BACKEND, USER
from lab.errors import LabError
from lab.guest.iscsi import REPLACEMENT_TIMEOUT
from tests.chaos.book import Book
from tests.chaos.checker import Violation, check
from tests.chaos.cluster import SECOND_BACKEND, ChaosCluster
from tests.chaos.copies import device, look
from tests.chaos.faults import Nemesis
from tests.chaos.guest import worker
from tests.chaos.history import History
from tests.chaos.keepers import DEEDS as KEEPERS_DEEDS
from tests.chaos.keepers import Keeper
from tests.chaos.movers import Mover
from tests.chaos.people import Person, failure
from tests.chaos.sharers import Sharer
from tests.lab.shared import Shared

#: The longest that an attached host may wait, in seconds: what its kernel waits for its
#: target, and as much again for a busy machine that runs all kernels.
PATIENCE = 2.0 * REPLACEMENT_TIMEOUT

#: Sectors of each volume that are written to: few, so that hosts meet.
_BLOCKS = 16

#: The mover's deed, beside those of the keepers.
MOVE = "move"
DEEDS = (*KEEPERS_DEEDS, MOVE)

#: What is no host.
_NOT = {"storage"}

#: How long both sides may take to agree when nothing is broken any more, in seconds.
_REST = 240.0


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a run showed.

    Attributes:
        history: of the hosts' operations.
        violations: of what one disk would do.
        unsettled: what was wrong when all had come to rest.
        faults: how often each was done.
        deeds: how often hosts came and went, in each way.
        lasted: the time of the chaos, in seconds.
    """

    history: History
    violations: Sequence[Violation]
    unsettled: Sequence[str]
    faults: dict[str, int]
    deeds: dict[str, int]
    lasted: float

    @property
    def good(self) -> bool:
        """Whether nothing was wrong."""
        return not (self.violations or self.unsettled)


class Run:
    """A run of chaos on a cluster.

    Args:
        cluster: where; nobody else uses it.
        seed: what it does follows from it, but for the time that each thing takes.
        volumes: how many are shared.
        faults: the names of those to choose from, at least one.
        deeds: what is done to volumes meanwhile, see ``DEEDS``.
        progress: is told what it is at.
    """

    def __init__(
        self,
        cluster: ChaosCluster,
        seed: str,
        volumes: int,
        faults: Sequence[str],
        deeds: Sequence[str],
        progress: Callable[[str], None],
    ) -> None:
        self._cluster = cluster
        self._seed = seed
        self._volumes = volumes
        self._deeds = deeds
        self._progress = progress
        folder = cluster.work.path / worker.FOLDER.name
        folder.mkdir(mode=0o755)
        self.book = Book(folder)
        self._nemesis = Nemesis(cluster, self.book, f"{seed} faults", faults)

    def live(self, seconds: float) -> Outcome:
        """Let them live for so long, and look at what came of it."""
        crowd = self._crowd()
        people = [*crowd.sharers, *crowd.keepers, *crowd.movers]
        begun = time.monotonic()
        broken_off = failure(functools.partial(self._disturb, people, seconds))
        lasted = time.monotonic() - begun
        if broken_off is None:
            self._progress("all is whole again; waiting until it is at rest")
            unsettled = self._settle(crowd)
        else:
            # What the hosts saw until then is looked at all the same.
            unsettled = [f"the run was broken off: {broken_off}"]
        history = self.book.history(PATIENCE)
        self._progress(f"checking {len(history.operations)} reads and writes")
        deeds: dict[str, int] = {}
        for one in people:
            for name, times in one.done.items():
                deeds[name] = deeds.get(name, 0) + times
        return Outcome(
            history, check(history), unsettled, self._nemesis.done, deeds, lasted
        )

    def _crowd(self) -> "_Crowd":
        """Create the volumes, and those who use them. The volumes go with the lab."""
        cluster, book = self._cluster, self.book
        first = [self._type(volume_backend_name=BACKEND) for _ in range(2)]
        hosts = [cluster.nodes[name] for name in sorted(cluster.nodes.keys() - _NOT)]
        crowd = _Crowd(self._create(first[0]))
        for number, volume in enumerate(crowd.volumes):
            for node in hosts:
                seed = f"{self._seed} {node.name} {number}"
                one = Sharer(cluster, book, volume, _BLOCKS, seed, node)
                crowd.sharers.append(one)
            seed = f"{self._seed} keeper {number}"
            keeper = Keeper(cluster, book, volume, _BLOCKS, seed, first, self._deeds)
            crowd.keepers.append(keeper)
        if MOVE in self._deeds:
            second = self._type(volume_backend_name=SECOND_BACKEND)
            types = {BACKEND: first[0], SECOND_BACKEND: second}
            seed = f"{self._seed} mover"
            mover = Mover(cluster, book, _BLOCKS, seed, types, self._type(), hosts)
            crowd.movers.append(mover)
        return crowd

    def _type(self, **keys: str) -> str:
        """Create a type, and give its name."""
        types = self._cluster.clients.volume("admin").volume_types
        made = types.create(f"chaos-{uuid.uuid4()}")
        made.set_keys({"multiattach": "<is> True", **keys})
        return str(made.name)

    def _create(self, volume_type: str) -> list[str]:
        cinder = self._cluster.clients.volume(USER)
        volumes = [
            str(cinder.volumes.create(1, volume_type=volume_type).id)
            for _ in range(self._volumes)
        ]
        for volume in volumes:
            attachments.wait_for_status(cinder, volume, "available")
        return volumes

    def _disturb(self, people: Sequence[Person], seconds: float) -> None:
        stop, calm = threading.Event(), threading.Event()
        failed: list[BaseException] = []

        def live(one: Person | Nemesis, until: threading.Event) -> None:
            try:
                one.live(until)
            except BaseException as error:
                failed.append(error)
                stop.set()
                raise

        threads = [
            threading.Thread(target=live, args=(one, stop), daemon=True)
            for one in people
        ]
        nemesis = threading.Thread(target=live, args=(self._nemesis, calm), daemon=True)
        for thread in (*threads, nemesis):
            thread.start()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not failed:
            stop.wait(min(30.0, max(0.1, deadline - time.monotonic())))
            left = max(0.0, deadline - time.monotonic())
            came = sum(sum(one.done.values()) for one in people)
            broken = sum(self._nemesis.done.values())
            self._progress(f"{left:4.0f} s left: {came} deeds, {broken} faults")
        # What is broken is mended first, so that all can tidy up.
        calm.set()
        nemesis.join()
        stop.set()
        for thread in threads:
            thread.join()
        if failed:
            raise failed[0]

    def _settle(self, crowd: "_Crowd") -> list[str]:
        """Let all come to rest; give what does not."""
        self._cluster.wait_for_volume_service(_REST)
        wrong = [
            f"attachment {stay.id} cannot be ended"
            for sharer in crowd.all_sharers()
            for stay in sharer.left
            if not sharer.tidy(stay, 60)
        ]
        tidy = [one.tidy for one in crowd.movers] + [one.tidy for one in crowd.keepers]
        wrong += [str(error) for error in map(failure, tidy) if error is not None]
        for volume in crowd.volumes:
            if (error := failure(functools.partial(self._free, volume))) is not None:
                wrong.append(f"volume {volume}: {error}")
        wrong += self._agreement()
        for volume in crowd.volumes:
            self._read_last(volume)
        for volume in crowd.all_volumes():
            wrong += self._left_overs(volume)
        try:
            self._cluster.check_kernels()
        except LabError as error:
            wrong.append(str(error))
        return wrong

    def _free(self, volume: str) -> None:
        """End the attachments whose id got lost with the answer to their creation."""
        cinder = self._cluster.clients.volume(USER, "nova")
        for one in cinder.attachments.list(search_opts={"volume_id": volume}):
            cinder.attachments.delete(one.id)
        attachments.wait_for_status(cinder, volume, "available", _REST)

    def _agreement(self) -> list[str]:
        """Say what the command's audit finds after one reconcile."""
        storage = self._cluster.nodes["storage"]
        command = ("tests.lab.guest.operator", "call")
        storage.call(*command, "reconcile", "--yes")
        status, said, complaints = storage.call(*command, "audit")
        return [f"audit ended with {status}: {said}{complaints}"] if status else []

    def _left_overs(self, volume: str) -> list[str]:
        shared = Shared(self._cluster, volume)
        found = []
        if shared.is_exported():
            found.append(f"volume {volume} has no attachment and is exported")
        if shared.is_open():
            found.append(f"volume {volume} has no attachment and its device is open")
        return found

    def _read_last(self, volume: str) -> None:
        """Read where the volume lives what the last of its writes left there."""
        begun = self.book.now()
        values = look(self._cluster, device(self._cluster, volume), _BLOCKS)
        name = f"last look at {volume}"
        self.book.looked(name, volume, values, begun, self.book.now())


@dataclasses.dataclass
class _Crowd:
    """Those who use the volumes of a run.

    Attributes:
        volumes: that hosts share.
    """

    volumes: list[str]
    sharers: list[Sharer] = dataclasses.field(default_factory=list)
    keepers: list[Keeper] = dataclasses.field(default_factory=list)
    movers: list[Mover] = dataclasses.field(default_factory=list)

    def all_sharers(self) -> list[Sharer]:
        """Give those of the movers' volumes, too."""
        return [*self.sharers, *(one for by in self.movers for one in by.sharers)]

    def all_volumes(self) -> list[str]:
        """Give those that were moved, too."""
        return [*self.volumes, *(one for by in self.movers for one in by.moved)]


def seed_of_now() -> int:
    """Give a seed that is another one each time."""
    return random.SystemRandom().getrandbits(32)
