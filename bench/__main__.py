# SPDX-License-Identifier: Apache-2.0
"""Measures our driver beside Cinder's, in one boot of one kernel of the lab."""

import argparse
import datetime
import platform
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from bench import attach
from bench.report import Report
from lab.errors import LabError
from lab.single import SingleNode
from lab.workdir import PROJECT, WorkFolder


def _header(single: SingleNode, sizes: str) -> dict[str, Any]:
    cpus = Path("/proc/cpuinfo").read_text()
    models = [line for line in cpus.splitlines() if line.startswith("model name")]
    packages = ("cinder", "os-brick", "oslo.privsep", "rtslib-fb", "taikun-cinder")
    return {
        "machine": f"{len(models)} x {models[0].partition(':')[2].strip()}",
        "host_kernel": platform.release(),
        "kernel": f"User-Mode Linux {single.node.run('uname -r').strip()}, 1 processor",
        "python": platform.python_version(),
        "versions": {name: metadata.version(name) for name in packages},
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "sizes": sizes,
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tox -e bench --", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer sizes and runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    parser.add_argument(
        "--picture", type=Path, metavar="FILE", help="draw attach times"
    )
    parser.add_argument(
        "--from", dest="read", type=Path, metavar="FILE", help="measure nothing, read"
    )
    return parser.parse_args()


def _measure(quick: bool) -> Report:
    single = SingleNode(WorkFolder(PROJECT / ".lab-bench"))
    single.up()
    try:
        report = Report(_header(single, "quick" if quick else "default"))
        attach.Attach(single, report, attach.QUICK if quick else attach.DEFAULT).run()
        return report
    finally:
        single.down()


def main() -> int:
    """Measure, and tell the figures as a table, and as files if asked."""
    options = _options()
    began = time.monotonic()
    try:
        report = Report.read(options.read) if options.read else _measure(options.quick)
    except LabError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"\n{report.table()}\n")
    for line in report.ratios():
        print(line)
    for name, value in report.header.items():
        print(f"{name}: {value}")
    if not options.read:
        print(f"measured in {(time.monotonic() - began) / 60:.1f} min")
    if options.json:
        report.write(options.json)
    if options.picture:
        from bench.picture import draw  # noqa: PLC0415 - it needs matplotlib

        draw(report, options.picture)
    return 0


if __name__ == "__main__":
    sys.exit(main())
