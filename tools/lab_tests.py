# SPDX-License-Identifier: Apache-2.0
"""Runs the lab's tests: those of the one-kernel node and of the cluster side by side.

    python tools/lab_tests.py [PYTEST'S ARGUMENTS]

They wait for kernels and time-outs most of the time, so two at once take little longer
than one. With arguments there is one run, with these.
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
    runs = [run("cluster", ["-m", "cluster"]), run("node", ["-m", "not cluster"])]
    return max(process.wait() for process in runs)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
