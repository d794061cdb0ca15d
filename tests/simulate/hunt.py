# SPDX-License-Identifier: Apache-2.0
"""Makes run after run, and tells of one that fails so that it can be mended."""

import contextlib
import hashlib
import importlib
import itertools
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path

from tests.simulate import plans, run, setup
from tests.simulate.shrink import law_of, shrink
from tests.simulate.stories import is_kind

_Plant = Callable[[], contextlib.AbstractContextManager[object]]

#: How often the line of progress is written, in seconds.
_PAUSE = 5.0


class Progress:
    """The numbers of all runs so far, and a line of them."""

    def __init__(self, seed: str) -> None:
        self._seed, self._began = seed, time.monotonic()
        self._told = 0.0
        self.runs = self.ops = self.steps = self.faults = 0

    def add(self, outcome: run.Outcome) -> None:
        """Count a run."""
        self.runs += 1
        self.ops += outcome.ops
        self.steps += outcome.steps
        self.faults += outcome.faults
        if time.monotonic() - self._told > _PAUSE:
            self._told = time.monotonic()
            print(f"\r{self}", end="", flush=True)

    def __str__(self) -> str:
        minutes = (time.monotonic() - self._began) / 60
        return (
            f"seed {self._seed}: {self.runs} runs, {self.ops} operations "
            f"({self.ops / minutes:.0f} a minute), {self.steps} steps, "
            f"{self.faults} faults"
        )


def planted(mutation: str) -> contextlib.AbstractContextManager[object]:
    """Plant a fault by its name in the block; empty for none.

    Raises:
        SystemExit: there is none of that name.
    """
    setup.ready()
    if not mutation:
        return contextlib.nullcontext()
    # They need Cinder's objects, which are there by now.
    found: dict[str, _Plant] = {}
    for name in ("mutations", "privileged_mutations"):
        found |= importlib.import_module(f"tests.simulate.{name}").MUTATIONS
    if mutation not in found:
        sys.exit(f"--mutation {mutation}: there are {', '.join(sorted(found))}")
    return found[mutation]()


def until(end: float) -> Iterator[int]:
    """Give numbers until a time, by ``time.monotonic``."""
    return itertools.takewhile(lambda _: time.monotonic() < end, itertools.count())


def hunt(
    seed: str,
    runs: Iterable[int],
    folder: Path,
    *,
    go_on: bool,
    without: Collection[str] = (),
    kernels: Sequence[str] = (run.USUAL,),
    databases: Sequence[str] = (run.USUAL_DATABASE,),
    mutation: str = "",
) -> int:
    """Make runs; give 1 if one failed, and 0 if none did.

    Args:
        seed: of all of them.
        runs: their numbers.
        folder: for the files of those that fail.
        go_on: whether to go on after one that fails.
        without: kinds of operations that there are none of.
        kernels: which of ``run.KERNELS`` there are, in turn.
        databases: which of ``run.DATABASES`` there are, each for a turn of kernels.
        mutation: the fault that is planted.

    Raises:
        SystemExit: there is no such kind of operations.
    """
    if unknown := [kind for kind in without if not is_kind(kind)]:
        sys.exit(f"--without {unknown[0]}: there are no such operations")
    weights = dict.fromkeys(without, 0.0)
    progress, failed = Progress(seed), 0
    for number in runs:
        kernel = kernels[number % len(kernels)]
        turn = number // len(kernels)
        outcome = run.by_chance(
            f"{seed}:{number}",
            weights=weights,
            kernel=kernel,
            database=databases[turn % len(databases)],
        )
        progress.add(outcome)
        if outcome.broken:
            failed += 1
            print(f"\r{progress}")
            _tell(outcome, folder, mutation)
            if not go_on:
                break
    print(f"\r{progress}; {failed} failed")
    return 1 if failed else 0


def _tell(outcome: run.Outcome, folder: Path, mutation: str) -> None:
    seed = outcome.plan.shape
    print(f"Run {seed} fails: {outcome.broken}")
    plan = shrink(outcome)
    small = run.again(plan, tell=True)
    name = hashlib.sha256(seed.encode()).hexdigest()[:8]
    path = folder / f"simulate-{law_of(outcome.broken).replace(' ', '-')}-{name}.json"
    plans.write(path, plan, small.broken)
    print(f"{len(plan.ops)} operations and {len(plan.decisions)} decisions are enough:")
    print("\n".join(plans.story(small)))
    fault = f" --mutation {mutation}" if mutation else ""
    print(f"Again: {sys.executable} -m tests.simulate --replay {path}{fault}")


def replay(path: Path, *, whole: bool) -> int:
    """Make a run once more, and tell it; give 1 if it fails, and 0 if it does not.

    Args:
        path: of its file.
        whole: whether to tell each step.
    """
    outcome = run.again(plans.read(path), tell=True)
    print("\n".join(outcome.lines if whole else plans.story(outcome)))
    return 1 if outcome.broken else 0
