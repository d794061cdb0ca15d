# SPDX-License-Identifier: Apache-2.0
"""Break things on real kernels while hosts share volumes, and check what they saw."""

import argparse
import datetime
import json
import shlex
import signal
import sys

from lab.errors import LabError
from lab.kernel import choice
from lab.progress import Terminal
from lab.workdir import PROJECT, WorkFolder
from tests.chaos.cluster import ChaosCluster
from tests.chaos.faults import FAULTS
from tests.chaos.run import DEEDS, Outcome, Run, seed_of_now
from tests.chaos.timeline import page

_FOLDER = PROJECT / ".lab-chaos"

#: How many broken promises are printed; the timeline has all.
_SHOWN = 20


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tox -e chaos --", description=__doc__)
    parser.add_argument(
        "--seed",
        help="of what is done: a word; today is the date (another each time)",
    )
    parser.add_argument(
        "--minutes", type=float, default=10, help="how long things break (10)"
    )
    parser.add_argument("--volumes", type=int, default=2, help="that are shared (2)")
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        choices=tuple(FAULTS),
        help="only this one; may be given several times (all)",
    )
    parser.add_argument(
        "--without",
        action="append",
        default=[],
        choices=tuple(FAULTS),
        metavar="FAULT",
        help="not this one; may be given several times",
    )
    parser.add_argument(
        "--deed",
        action="append",
        default=[],
        choices=(*DEEDS, "none"),
        help="only this one is done to volumes; may be given several times (all)",
    )
    parser.add_argument(
        "--thin", action="store_true", help="keep the shared volumes in a thin pool"
    )
    parser.add_argument("--keep", action="store_true", help="leave the lab up")
    options = parser.parse_args()
    chosen = options.fault or tuple(FAULTS)
    options.faults = [name for name in chosen if name not in options.without]
    if not options.faults:
        parser.error("--without leaves no fault")
    return options


def _tell(outcome: Outcome, run: Run, about: dict[str, str], where: Terminal) -> None:
    folder = _FOLDER / "chaos"
    path = folder / "timeline.html"
    path.write_text(page(outcome, run.book.events, about))
    numbers = {"faults": outcome.faults, "deeds": outcome.deeds}
    broken = [str(one) for one in outcome.violations]
    wrong = {"broken": broken, "not at rest": outcome.unsettled}
    told = json.dumps({**about, **numbers, **wrong}, indent=1)
    (folder / "outcome.json").write_text(told)
    where.say()
    for name, value in about.items():
        where.say(f"{name}: {value}")
    for title, counts in (("hosts", outcome.deeds), ("faults", outcome.faults)):
        each = ", ".join(f"{name} {times}" for name, times in sorted(counts.items()))
        where.say(f"{title}: {each}")
    for line in broken[:_SHOWN]:
        where.complain(f"  BROKEN: {line}")
    for line in outcome.unsettled:
        where.complain(f"  NOT AT REST: {line}")
    where.say(f"the timeline: {path}")


def main() -> int:
    """Run it; give 0 if all promises were kept."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    seed = options.seed or str(seed_of_now())
    if seed == "today":
        seed = datetime.datetime.now(datetime.UTC).date().isoformat()
    progress = Terminal()
    # What comes last counts.
    again = shlex.join([*sys.argv[1:], "--seed", seed])
    progress(f"seed {seed}: tox -e chaos -- {again}")
    work = WorkFolder(_FOLDER)
    try:
        with work.lock():
            choice.prepare(progress)
            cluster = ChaosCluster.up(work, progress)
            try:
                outcome = _run(cluster, options, seed, progress)
            finally:
                if options.keep:
                    cluster.sandbox.detach()
                else:
                    cluster.down()
    except LabError as error:
        progress.complain(f"error: {error}\nthe logs: {work.logs}")
        return 1
    broken = len(outcome.violations) + len(outcome.unsettled)
    progress(f"done: {broken or 'no'} promises were broken")
    return 0 if outcome.good else 1


def _run(
    cluster: ChaosCluster, options: argparse.Namespace, seed: str, progress: Terminal
) -> Outcome:
    deeds = options.deed or DEEDS
    cluster.prepare(deeds, thin=options.thin)
    up = progress.elapsed()
    run = Run(cluster, seed, options.volumes, options.faults, deeds, progress)
    outcome = run.live(60 * options.minutes)
    rest = progress.elapsed() - up - outcome.lasted
    about = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "seed": seed,
        "minutes": f"{outcome.lasted / 60:.1f}",
        "seconds before and after": f"{up:.0f} and {rest:.0f}",
        "attachments": str(outcome.history.attachments()),
        "reads and writes": str(len(outcome.history.operations)),
        "kernel": cluster.nodes["storage"].run("uname -r").strip(),
    }
    _tell(outcome, run, about, progress)
    return outcome


if __name__ == "__main__":
    sys.exit(main())
