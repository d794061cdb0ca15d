# SPDX-License-Identifier: Apache-2.0
"""Break things on real kernels while hosts share volumes, and check what they saw."""

import argparse
import datetime
import json
import signal
import sys

from lab.errors import LabError
from lab.kernel import choice
from lab.progress import Terminal
from lab.workdir import PROJECT, WorkFolder
from tests.chaos.faults import FAULTS
from tests.chaos.run import ChaosCluster, Outcome, Run, seed_of_now
from tests.chaos.timeline import page

_FOLDER = PROJECT / ".lab-chaos"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tox -e chaos --", description=__doc__)
    parser.add_argument("--seed", type=int, help="of what is done (another each time)")
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
    parser.add_argument("--keep", action="store_true", help="leave the lab up")
    return parser.parse_args()


def _tell(outcome: Outcome, run: Run, about: dict[str, str], where: Terminal) -> None:
    folder = _FOLDER / "chaos"
    path = folder / "timeline.html"
    path.write_text(page(outcome, run.book.events, about))
    numbers = {"faults": outcome.faults, "deeds": outcome.deeds}
    (folder / "outcome.json").write_text(json.dumps({**about, **numbers}, indent=1))
    where.say()
    for name, value in about.items():
        where.say(f"{name}: {value}")
    for title, counts in (("hosts", outcome.deeds), ("faults", outcome.faults)):
        told = ", ".join(f"{name} {times}" for name, times in sorted(counts.items()))
        where.say(f"{title}: {told}")
    for violation in outcome.violations[:20]:
        where.complain(f"  BROKEN: {violation}")
    for line in outcome.unsettled:
        where.complain(f"  NOT AT REST: {line}")
    where.say(f"the timeline: {path}")


def main() -> int:
    """Run it; give 0 if all promises were kept."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    seed = seed_of_now() if options.seed is None else options.seed
    progress = Terminal()
    progress(f"seed {seed}: tox -e chaos -- --seed {seed} --minutes {options.minutes}")
    work = WorkFolder(_FOLDER)
    try:
        with work.lock():
            choice.prepare(progress)
            cluster = ChaosCluster.up(work, progress)
            try:
                cluster.hurry()
                run = Run(cluster, seed, options.volumes, options.fault, progress)
                outcome = run.live(60 * options.minutes)
                operations = outcome.history.operations
                about = {
                    "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
                    "seed": str(seed),
                    "minutes": f"{outcome.lasted / 60:.1f}",
                    "attachments": str(len(outcome.history.accesses)),
                    "reads and writes": str(len(operations)),
                    "kernel": cluster.nodes["storage"].run("uname -r").strip(),
                }
                _tell(outcome, run, about, progress)
            finally:
                if options.keep:
                    cluster.sandbox.detach()
                else:
                    cluster.down()
    except LabError as error:
        progress.complain(f"error: {error}")
        return 1
    progress("done")
    return 0 if outcome.good else 1


if __name__ == "__main__":
    sys.exit(main())
