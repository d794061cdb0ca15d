# SPDX-License-Identifier: Apache-2.0
"""One run: a world, operations, decisions, and the laws that it is held to."""

import dataclasses
import random
from collections.abc import Mapping, Sequence

from tests.simulate import setup
from tests.simulate.broken import BrokenError
from tests.simulate.cinder_store import CinderStore
from tests.simulate.decisions import Decisions, Op, Random, Rates, Replay
from tests.simulate.kernel import SimKernel
from tests.simulate.kernels import MakeKernel
from tests.simulate.laws import Laws
from tests.simulate.memory_store import MemoryStore
from tests.simulate.node_kernel import NodeKernel
from tests.simulate.rest import Rest
from tests.simulate.schedule import StuckError
from tests.simulate.stores import MakeStore
from tests.simulate.stories import Stories
from tests.simulate.uses import Uses
from tests.simulate.world import World

#: How many operations a run has.
LENGTH = 60

#: What makes the LIO of a run, by its name: one whose steps are the driver's own, and
#: one whose steps are those of the privileged process on files.
KERNELS: Mapping[str, MakeKernel] = {"memory": SimKernel, "configfs": NodeKernel}

#: What makes Cinder's database of a run, by its name: rows in memory, and Cinder's own.
DATABASES: Mapping[str, MakeStore] = {"memory": MemoryStore, "cinder": CinderStore}

#: The ones of most runs.
USUAL = USUAL_DATABASE = "memory"


@dataclasses.dataclass(frozen=True)
class Plan:
    """All that makes a run what it is.

    Attributes:
        shape: the seed of what the world has.
        ops: the operations, by their numbers.
        decisions: see ``decisions``.
        kernel: of ``KERNELS``.
        database: of ``DATABASES``.
    """

    shape: str
    ops: dict[int, Op]
    decisions: dict[str, str]
    kernel: str = USUAL
    database: str = USUAL_DATABASE


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What came of a run.

    Attributes:
        plan: by which it can be had again.
        broken: which law was broken, and how; empty if none was.
        digest: of all that happened.
        ops: how many operations came to their end.
        steps: how many steps there were.
        faults: how many of them failed.
        lines: what happened, if it was asked for.
    """

    plan: Plan
    broken: str
    digest: str
    ops: int
    steps: int
    faults: int
    lines: Sequence[str] = ()


def by_chance(
    seed: str,
    length: int = LENGTH,
    *,
    tell: bool = False,
    rates: Rates | None = None,
    weights: Mapping[str, float] | None = None,
    kernel: str = USUAL,
    database: str = USUAL_DATABASE,
) -> Outcome:
    """Make a new run; all of it follows from what is given.

    Args:
        seed: of the run.
        length: how many operations it has.
        tell: whether to keep what happens.
        rates: how often what happens; None for what the seed says.
        weights: how often kinds of operations come, for those that are not usual.
        kernel: of ``KERNELS``.
        database: of ``DATABASES``.
    """
    source = _chances(seed)
    usual = Rates(
        switch=source.choice((0.0, 0.02, 0.1, 0.3)),
        fault=source.choice((0.0, 0.0, 0.002, 0.01, 0.03)),
        kill=source.choice((0.0, 0.0, 0.001, 0.005)),
        power=source.choice((0.0, 0.0, 0.0005, 0.003)),
    )
    decisions = Random(_chances(f"{seed} steps"), rates or usual)
    chosen = _Chosen(source, length, {**_WEIGHTS, **(weights or {})})
    plan = Plan(seed, chosen.made, decisions.taken, kernel, database)
    return _Run(plan, decisions, tell=tell).go(chosen)


def again(plan: Plan, *, tell: bool = False) -> Outcome:
    """Make a run once more.

    Args:
        plan: of the run.
        tell: whether to keep what happens.
    """
    decisions = Replay(plan.decisions)
    made = dataclasses.replace(plan, decisions=decisions.taken)
    return _Run(made, decisions, tell=tell).go(_Planned(plan.ops))


def _chances(seed: str) -> random.Random:
    return random.Random(seed)  # noqa: S311 - nothing is kept secret by it


class _Chosen:
    """Operations by chance; some kinds of them only, so that runs differ more."""

    def __init__(
        self, source: random.Random, length: int, weights: Mapping[str, float]
    ) -> None:
        self._source, self._left = source, length
        self._usual = weights
        self._weights: dict[str, float] = {}
        self.made: dict[int, Op] = {}

    def next(self, stories: Stories) -> tuple[int, Op] | None:
        """Give the next one; None if there is none any more."""
        if not self._left:
            return None
        self._left -= 1
        by_kind: dict[str, list[Op]] = {}
        for op in stories.possible():
            by_kind.setdefault(op[0], []).append(op)
        kinds = list(by_kind)
        weights = [self._weight(kind) for kind in kinds]
        kind = self._source.choices(kinds, weights)[0]
        number = len(self.made)
        self.made[number] = self._source.choice(by_kind[kind])
        return number, self.made[number]

    def _weight(self, kind: str) -> float:
        if kind not in self._weights:
            usual = self._usual.get(kind, 1.0)
            self._weights[kind] = usual * self._source.choice((0.05, 1, 1, 3))
        return self._weights[kind]


#: How often a kind of operation comes, beside others.
_WEIGHTS = {
    "attach": 6.0,
    "detach": 5.0,
    "start": 3.0,
    "wait": 0.7,
    "kill": 0.4,
    "force_detach": 0.4,
    "clean_up": 0.2,
    "crash_host": 0.3,
    "cancel": 0.3,
    "fence": 0.3,
    "lift": 0.2,
    "delete_volume": 0.4,
    "create_volume": 0.4,
    "lose_rows": 0.15,
    "damage": 0.1,
    "edit": 0.1,
    "change_prefix": 0.1,
    "extend": 0.2,
    "retype": 0.4,
    "migrate_volume": 1.5,
    "retype_elsewhere": 0.3,
    "delete_source": 0.5,
    "rename": 0.2,
    "move_volumes": 2.0,
}


class _Planned:
    """Operations of a plan."""

    def __init__(self, ops: dict[int, Op]) -> None:
        self.made = ops
        self._rest = sorted(ops.items())

    def next(self, _stories: Stories) -> tuple[int, Op] | None:
        """Give the next one; None if there is none any more."""
        return self._rest.pop(0) if self._rest else None


class _Run:
    """A run under way.

    Args:
        plan: of the run, as far as it has come.
        decisions: on all that is left to chance.
        tell: whether to keep what happens.
    """

    def __init__(self, plan: Plan, decisions: Decisions, *, tell: bool) -> None:
        secrets = setup.ready()
        self._plan = plan
        source = _chances(f"{plan.shape} world")
        kernel, database = KERNELS[plan.kernel], DATABASES[plan.database]
        self.world = World(decisions, source, kernel, database)
        if tell:
            self.world.scheduler.lines = []
        secondary = source.choice(("rw", "rw", "rw", "ro", "deny"))
        hosts_at_most = source.choice((0, 0, 0, 2))
        self.world.rule = secondary, hosts_at_most
        setup.configure(
            taikun_secondary_mode=secondary,
            taikun_max_hosts=hosts_at_most,
            target_prefix="iqn.2010-10.org.openstack:",
        )
        self.world.kernel.lack = source.choice(("", "", "a module"))
        for number in range(1, 1 + source.choice((1, 2, 3))):
            backend = source.choice(sorted(self.world.backends))
            self.world.add_volume(f"v{number}", backend)
        hosts = sorted(self.world.hosts)
        places = {server: source.choice(hosts) for server in self.world.servers}
        self.stories = Stories(self.world, Uses(self.world, places))
        self.laws = Laws(self.world, secrets)

    def go(self, ops: _Chosen | _Planned) -> Outcome:
        """Make the run."""
        world, scheduler = self.world, self.world.scheduler

        def begin() -> bool:
            found = ops.next(self.stories)
            if found is not None:
                self.stories.begin(*found)
            return found is not None

        world.begin, world.watch = begin, self.laws.look
        broken = ""
        try:
            for backend in world.backends.values():
                backend.start()
            scheduler.run()
            Rest(world, self.stories).check()
        except BrokenError as error:
            broken = str(error)
        except StuckError as error:
            broken = f"stuck: {error}"
        except Exception as error:  # of a thread that should end with none
            broken = f"{type(error).__name__}: {error}"
        broken = self.laws.broken or broken
        world.watch = lambda: None
        scheduler.close()
        return Outcome(
            # Nothing of it changes any more.
            self._plan,
            broken,
            scheduler.digest,
            self.stories.done,
            scheduler.steps,
            scheduler.faults,
            scheduler.lines or (),
        )
