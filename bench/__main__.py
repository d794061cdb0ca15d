# SPDX-License-Identifier: Apache-2.0
"""Measures our driver beside Cinder's, in one boot of one kernel of the lab."""

import argparse
import datetime
import platform
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

from bench import attach, churn, data_path, database, goals, guard
from bench.report import Report
from lab.single import SingleNode
from lab.workdir import PROJECT, WorkFolder

SECTIONS = ("data", "attach", "churn", "guard")

#: What is measured unless it is said: half an hour. The churn alone takes as long.
USUAL = ("data", "attach")


def _header(single: SingleNode, sizes: str) -> dict[str, Any]:
    cpus = Path("/proc/cpuinfo").read_text()
    models = [line for line in cpus.splitlines() if line.startswith("model name")]
    packages = ("cinder", "os-brick", "oslo.privsep", "rtslib-fb", "taikun-cinder")
    return {
        "machine": f"{len(models)} x {models[0].partition(':')[2].strip()}",
        "host_kernel": platform.release(),
        "kernel": f"User-Mode Linux {single.node.run('uname -r').strip()}, 1 processor",
        "database": "MariaDB on the machine, over the lab's network",
        "python": platform.python_version(),
        "threads": "eventlet's" if single.patched else "Python's own",
        "versions": {name: metadata.version(name) for name in packages},
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "sizes": sizes,
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tox -e bench --", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer sizes and runs")
    parser.add_argument(
        "--patched",
        action="store_true",
        help="with threads by eventlet, as Cinder's services run",
    )
    parser.add_argument(
        "--only",
        choices=SECTIONS,
        action="append",
        help=f"measure only this, which may be given several times; without it, "
        f"{' and '.join(USUAL)}",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    parser.add_argument(
        "--picture", type=Path, metavar="FILE", help="draw attach times"
    )
    parser.add_argument(
        "--from", dest="read", type=Path, metavar="FILE", help="measure nothing, read"
    )
    return parser.parse_args()


def _sections(quick: bool) -> dict[str, Callable[[SingleNode, Report], Any]]:
    """Give what is measured, each in a boot of its own."""
    data, coming = (
        (data_path.QUICK, churn.QUICK) if quick else (data_path.DEFAULT, churn.DEFAULT)
    )
    attaches = attach.QUICK if quick else attach.DEFAULT
    return {
        "data": lambda node, report: data_path.DataPath(node, report, data).run(),
        "churn": lambda node, report: churn.Churn(node, report, coming).run(),
        "guard": lambda node, report: guard.Guard(
            node, report, guard.QUICK if quick else guard.DEFAULT
        ).run(),
        "attach": lambda node, report: attach.Attach(node, report, attaches).run(),
    }


def _measure(options: argparse.Namespace) -> Report:
    """Measure section by section. One that fails does not take the others with it."""
    report: Report | None = None
    for name, section in _sections(options.quick).items():
        if name not in (options.only or USUAL):
            continue
        print(f"{name}:", flush=True)
        work = WorkFolder(PROJECT / ".lab-bench")
        single = SingleNode(work, patched=options.patched)
        single.up()
        try:
            database.start(single.sandbox, work)
            report = report or Report(
                _header(single, "quick" if options.quick else "default")
            )
            section(single, report)
        except Exception as error:  # what the node raised, too
            print(f"error: {name}: {error}", file=sys.stderr)
            report = report or Report({})
            report.header.setdefault("failed", {})[name] = str(error)
        finally:
            single.down()
        if options.json:
            report.write(options.json)
    return report or Report({})


def _tell_header(header: dict[str, Any]) -> None:
    told = dict(header)
    for line in churn.table(told.pop("churn", {})):
        print(line)
    for name, value in told.items():
        print(f"{name}: {value}")


def main() -> int:
    """Measure, and tell the figures as a table, and as files if asked."""
    options = _options()
    began = time.monotonic()
    report = Report.read(options.read) if options.read else _measure(options)
    print(f"\n{report.table()}\n")
    for line in report.ratios():
        print(line)
    for line in goals.told(report):
        print(line)
    _tell_header(report.header)
    if not options.read:
        print(f"measured in {(time.monotonic() - began) / 60:.1f} min")
    if options.picture:
        from bench.picture import draw  # noqa: PLC0415 - it needs matplotlib

        draw(report, options.picture)
    return 1 if "failed" in report.header else 0


if __name__ == "__main__":
    sys.exit(main())
