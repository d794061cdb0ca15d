# SPDX-License-Identifier: Apache-2.0
"""Runs the lab's tests: two shares of the cluster's, and two of the one-kernel node's.

    python tools/lab_tests.py [PYTEST'S ARGUMENTS]

A lab waits for time-outs half of the time, and keeps a processor busy the other half.
So as many shares run at once as there are processors: with more of them, what a test
waits for comes too late. With arguments there is one run, with these.
"""

import os
import queue
import subprocess
import sys
from concurrent import futures
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTEST = [sys.executable, "-m", "pytest", "tests/lab"]


#: The shares, in this order. A cluster's three kernels and its services want more than
#: a processor when they start, so the other cluster comes last.
SHARES = {
    "cluster 1": ["-m", "cluster", "--share", "1/2"],
    "node 1": ["-m", "not cluster", "--share", "1/2"],
    "node 2": ["-m", "not cluster", "--share", "2/2"],
    "cluster 2": ["-m", "cluster", "--share", "2/2"],
}


def run(name: str, processors: "queue.SimpleQueue[int]") -> int:
    """Run a share, and pass on its lines with its name; give its exit status."""
    first = processors.get()
    try:
        return _run(name, {"TAIKUN_LAB_PROCESSOR": str(first)})
    finally:
        processors.put(first)


def _run(name: str, environment: dict[str, str]) -> int:
    process = subprocess.Popen(
        [*PYTEST, "--verbose", "--durations=12", *SHARES[name]],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    for line in process.stdout or ():
        sys.stdout.write(f"[{name}] {line}")
        sys.stdout.flush()
    return process.wait()


def main(arguments: list[str]) -> int:
    """Run all, or one run with these arguments; give the worst exit status."""
    if arguments:
        return subprocess.run([*PYTEST, *arguments], cwd=ROOT, check=False).returncode
    number = max(2, os.cpu_count() or 1)
    # Each share's storage node has a processor to itself, see lab.kernel.uml.
    processors: queue.SimpleQueue[int] = queue.SimpleQueue()
    for processor in range(number):
        processors.put(processor)
    with futures.ThreadPoolExecutor(number) as at_once:
        return max(at_once.map(lambda name: run(name, processors), SHARES))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
