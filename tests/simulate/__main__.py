# SPDX-License-Identifier: Apache-2.0
"""python -m tests.simulate: breaks the driver, or does not, for some minutes."""

import argparse
import datetime
import importlib
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

#: The same on every machine, for what goes by the order of a set.
_HASHES = {"PYTHONHASHSEED": "0"}

#: By the word for them, see ``run.KERNELS``.
_KERNELS = {
    "memory": ("memory",),
    "configfs": ("configfs",),
    "both": ("memory", "configfs"),
}


#: By the word for them, see ``run.DATABASES``.
_DATABASES = {
    "memory": ("memory",),
    "cinder": ("cinder",),
    "both": ("memory", "cinder"),
}


def main() -> int:
    """Make runs until the time is over or one fails; give the exit status."""
    options = _options()
    if os.environ.get("PYTHONHASHSEED") != "0":
        again = [sys.executable, *sys.orig_argv[1:]]
        os.execve(sys.executable, again, os.environ | _HASHES)  # noqa: S606
    hunt: Any = importlib.import_module("tests.simulate.hunt")

    with hunt.planted(options.mutation):
        status: int = _go(hunt, options)
    return status


def _go(hunt: Any, options: argparse.Namespace) -> Any:
    if options.replay:
        return hunt.replay(options.replay, whole=options.whole)
    seed = options.seed
    if seed == "today":
        seed = datetime.datetime.now(datetime.UTC).date().isoformat()
    if options.runs:
        runs: Iterable[int] = range(options.runs)
    else:
        runs = hunt.until(time.monotonic() + 60 * options.minutes)
    return hunt.hunt(
        seed,
        runs,
        options.keep,
        go_on=options.go_on,
        without=options.without,
        kernels=_KERNELS[options.kernel],
        databases=_DATABASES[options.database],
        mutation=options.mutation,
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulate", description=__doc__
    )
    parser.add_argument(
        "--seed", default="today", help="of the runs: any word; today is the date"
    )
    parser.add_argument("--minutes", type=float, default=2.0, help="how long (2)")
    parser.add_argument(
        "--runs", type=int, default=0, help="how many, and not how long"
    )
    parser.add_argument(
        "--mutation",
        default="",
        metavar="NAME",
        help="plant a fault, to see that it is found",
    )
    parser.add_argument(
        "--without",
        action="append",
        default=[],
        metavar="KIND",
        help="leave a kind of operation out, as old_attach; can be repeated",
    )
    parser.add_argument(
        "--kernel",
        choices=sorted(_KERNELS),
        default="memory",
        help="what the driver is over: the steps in memory, the privileged process's "
        "own steps on files (configfs), or both in turn",
    )
    parser.add_argument(
        "--database",
        choices=sorted(_DATABASES),
        default="memory",
        help="what Cinder's database is: rows in memory, Cinder's own code over SQLite "
        "(cinder), or both in turn",
    )
    parser.add_argument("--replay", type=Path, help="the file of a run that failed")
    parser.add_argument(
        "--whole", action="store_true", help="with --replay: tell each step"
    )
    parser.add_argument(
        "--keep", type=Path, default=Path(), help="the folder for files of failed runs"
    )
    parser.add_argument(
        "--go-on", action="store_true", help="do not end with the first failure"
    )
    options = parser.parse_args()
    if options.whole and not options.replay:
        parser.error("--whole tells of one run: name its file with --replay")
    return options


sys.exit(main())
