# SPDX-License-Identifier: Apache-2.0
"""Runs the lab's tests at once: the cluster's, and two shares of the one-kernel node's.

    python tools/lab_tests.py [PYTEST'S ARGUMENTS]

A kernel of the lab has one processor, and waits for time-outs much of the time. With
arguments there is one run, with these.
"""

import subprocess
import sys
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTEST = [sys.executable, "-m", "pytest", "tests/lab"]


def run(name: str, arguments: list[str]) -> subprocess.Popen[str]:
    """Start a run, and pass on its lines with its name."""
    process = subprocess.Popen(
        [*PYTEST, "--verbose", "--durations=12", *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    threading.Thread(target=_pass_on, args=(name, process)).start()
    return process


def _pass_on(name: str, process: subprocess.Popen[str]) -> None:
    for line in process.stdout or ():
        sys.stdout.write(f"[{name}] {line}")
        sys.stdout.flush()


def main(arguments: list[str]) -> int:
    """Run all, or one run with these arguments; give the worst exit status."""
    if arguments:
        return subprocess.run([*PYTEST, *arguments], cwd=ROOT, check=False).returncode
    runs = [
        run("cluster", ["-m", "cluster"]),
        run("node 1", ["-m", "not cluster", "--share", "1/2"]),
        run("node 2", ["-m", "not cluster", "--share", "2/2"]),
    ]
    return max(process.wait() for process in runs)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
