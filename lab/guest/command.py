# SPDX-License-Identifier: Apache-2.0
"""Runs shell commands in the node for the host."""

import subprocess
from collections.abc import Callable


def run(command: str, timeout: float) -> tuple[int, str]:
    """Run a shell command; give its status and all that it printed.

    A command that does not end in ``timeout`` seconds is killed and gives status 124,
    as timeout(1) does.
    """
    with subprocess.Popen(
        ["bash", "-c", command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        try:
            output, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            return 124, f"(no end after {timeout:.0f} s)"
        return process.returncode, output


def stream(argv: list[str], write: Callable[[str], object]) -> int:
    """Run a command, pass on each line as it comes, and give the status."""
    with subprocess.Popen(
        list(argv),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        for line in process.stdout:
            write(line)
    return process.returncode
