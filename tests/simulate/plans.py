# SPDX-License-Identifier: Apache-2.0
"""The file of a run that can be had again, and the story that a person reads of it."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.simulate.run import USUAL, USUAL_DATABASE, Outcome, Plan

#: What a line begins with that a reader has to know (``Scheduler.tell``).
_TOLD = "* "


def write(path: Path, plan: Plan, broken: str) -> None:
    """Write a plan, and what comes of it."""
    text = {
        "broken": broken,
        "shape": plan.shape,
        "kernel": plan.kernel,
        "database": plan.database,
        "ops": [[number, *op] for number, op in sorted(plan.ops.items())],
        "decisions": plan.decisions,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(text, indent=1) + "\n")


def read(path: Path) -> Plan:
    """Read a plan.

    Raises:
        OSError: there is none.
        ValueError: it is none.
    """
    found = json.loads(path.read_text())
    ops = {number: (kind, arguments) for number, kind, arguments in found["ops"]}
    kernel = found.get("kernel", USUAL)
    database = found.get("database", USUAL_DATABASE)
    return Plan(found["shape"], ops, found["decisions"], kernel, database)


def story(outcome: Outcome) -> Iterator[str]:
    """Tell what happened in a run that was kept: operations, faults, and changes.

    The first column is the time in seconds, the second who did it: an operation by its
    number, and with a dot what it began in cinder-volume.
    """
    yield f"what the world had: {outcome.plan.shape}"
    yield from told(outcome.lines)
    yield f"==> {outcome.broken or 'no law was broken'}"


def told(lines: Sequence[str]) -> Iterator[str]:
    """Give the lines that a reader has to know."""
    for line in lines:
        start, found, text = line.partition(_TOLD)
        if found:
            yield f"{start}{text}"
