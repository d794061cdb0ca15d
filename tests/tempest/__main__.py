# SPDX-License-Identifier: Apache-2.0
"""Run OpenStack's own tests of block storage, or of servers, on the lab's cluster."""

import argparse
import contextlib
import dataclasses
import datetime
import json
import re
import signal
import sys
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path

from lab.cluster import Cluster
from lab.errors import LabError
from lab.kernel import choice
from lab.nova.cluster import NovaCluster
from lab.progress import Terminal
from lab.services.files import write_settings
from lab.workdir import PROJECT, WorkFolder
from tests.tempest import cloud
from tests.tempest.run import Tempest, version
from tests.tempest.selection import (
    CANNOT_PASS,
    MAY_SKIP,
    SELECTED,
    SELECTED_WITH_NOVA,
)
from tests.tempest.settings import settings
from tests.tempest.verdict import Verdict, of_each

#: Of the lab, of that with Nova, and in each of tempest.
_FOLDER = PROJECT / ".lab-tempest"
_FOLDER_WITH_NOVA = PROJECT / ".lab-tempest-nova"
_TEMPEST = "tempest"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tox -e tempest --", description=__doc__)
    parser.add_argument(
        "tests", nargs="*", metavar="REGEX", help="run these instead of all"
    )
    parser.add_argument(
        "--in-tree",
        action="store_true",
        help="with Cinder's own driver; by default those tests that cannot pass",
    )
    parser.add_argument(
        "--nova",
        action="store_true",
        help="the tests of servers and their volumes, on a cluster with Nova",
    )
    parser.add_argument(
        "--workers", type=int, metavar="N", help="so many at once (2; 1 with Nova)"
    )
    parser.add_argument(
        "--user",
        choices=("root", "cinder"),
        default="root",
        help="whom cinder-volume and cinder-backup run as (root); cinder goes by "
        "rootwrap, and takes several times as long",
    )
    parser.add_argument(
        "--keep",
        action="store_true",
        help="leave the lab up; the next run takes it as it is",
    )
    return parser.parse_args()


@contextlib.contextmanager
def _cluster(
    work: WorkFolder, options: argparse.Namespace, progress: Terminal
) -> Iterator[Cluster]:
    """Give a cluster with tempest's configuration, and end it behind the block."""
    kind = NovaCluster if options.nova else Cluster
    cluster = kind.find(work)
    if cluster is None:
        choice.prepare(progress)
        cluster = kind.up(work, progress, options.user)
        try:
            _prepare(cluster, options, progress)
        except BaseException:
            cluster.down()
            raise
    elif (cloud.driver(cluster) == cloud.IN_TREE) != options.in_tree:
        raise LabError(
            "the lab that was kept has the other driver; end it with "
            f"TAIKUN_LAB_DIR={work.path} tox -e lab -- down"
        )
    try:
        yield cluster
    except BaseException:
        cluster.down()  # tempest could go on in it
        raise
    if options.keep:
        cluster.sandbox.detach()
        progress(f"the lab stays up: TAIKUN_LAB_DIR={work.path} tox -e lab")
    else:
        cluster.down()


def _prepare(cluster: Cluster, options: argparse.Namespace, progress: Terminal) -> None:
    if options.in_tree:
        progress("starting Cinder again, with its own driver")
        cloud.go_in_tree(cluster)
    folder = _tempest(cluster.work)
    folder.mkdir()
    made = cloud.prepare(cluster, progress)
    write_settings(folder / "tempest.conf", settings(made, folder))


def _tempest(work: WorkFolder) -> Path:
    return work.path / _TEMPEST


def _judge(
    cluster: Cluster, options: argparse.Namespace, progress: Terminal
) -> Verdict:
    """Run the tests, and hold what became of them against the lists."""
    whole = not options.tests
    tests = options.tests or _all(options)
    workers = options.workers or (1 if options.nova else 2)
    tempest = Tempest(cluster.sandbox, _tempest(cluster.work))
    listed = tempest.listed(tests)
    progress(f"running {len(listed)} tests, {workers} at once")
    tempest.run(tests, workers)
    outcomes = of_each(listed, tempest.outcomes())
    cannot_pass = {} if options.nova else CANNOT_PASS
    return Verdict(outcomes, cannot_pass, MAY_SKIP, whole)


def _all(options: argparse.Namespace) -> Sequence[str]:
    """Give what runs when no tests are named, as regular expressions."""
    if options.nova:
        return SELECTED_WITH_NOVA  # with either driver: none of them may fail
    if options.in_tree:
        return [f"^{re.escape(name)}" for name in CANNOT_PASS]
    return SELECTED


def _tell(
    verdict: Verdict, header: dict[str, str], folder: Path, progress: Terminal
) -> None:
    """Print the summary, and write all outcomes to a file."""
    path = folder / "outcomes.json"
    outcomes = {
        name: dataclasses.asdict(outcome) for name, outcome in verdict.outcomes.items()
    }
    path.write_text(json.dumps({**header, "outcomes": outcomes}, indent=1))
    progress.say()
    for name, value in header.items():
        progress.say(f"{name}: {value}")
    for line in verdict.summary():
        progress.say(line)
    for fault in verdict.faults():
        progress.complain(f"  FAULT: {fault}")
    progress.say(f"all outcomes: {path}")


def _header(cluster: Cluster) -> dict[str, str]:
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "driver": cloud.driver(cluster),
        "cinder": metadata.version("cinder"),
        **{name: version(name) for name in ("tempest", "cinder-tempest-plugin")},
        "kernel": cluster.nodes["storage"].run("uname -r").strip(),
    }


def main() -> int:
    """Run the tests; give 0 if all became what they must become."""
    options = _options()
    if not (options.tests or _all(options)):
        Terminal.complain("no test is known to fail; name those to run")
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    work = WorkFolder(_FOLDER_WITH_NOVA if options.nova else _FOLDER)
    progress = Terminal()
    try:
        with work.lock(), _cluster(work, options, progress) as cluster:
            verdict = _judge(cluster, options, progress)
            _tell(verdict, _header(cluster), _tempest(work), progress)
            cluster.check_kernels()
    except LabError as error:
        progress.complain(f"error: {error}")
        return 1
    progress("done")
    return 1 if verdict.faults() else 0


if __name__ == "__main__":
    sys.exit(main())
