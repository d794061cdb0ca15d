# SPDX-License-Identifier: Apache-2.0
"""Runs the few commands that root runs, with a clean environment and a time limit."""

import errno
import subprocess

from taikun_cinder.privsep.refusal import KernelRefused

#: Where root looks for them.
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"

#: How long one may take, in seconds: less than the caller of a call waits.
PATIENCE = 25


def run(doing: str, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command; give its status, and what it said.

    Args:
        doing: what it is for, in words.
        command: its name and its arguments.

    Raises:
        KernelRefused: it could not be run, or it took too long.
    """
    try:
        return subprocess.run(
            command,
            env={"PATH": PATH},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    except OSError as error:
        raise KernelRefused.of(-1, f"run {command[0]}", error) from None
    except subprocess.TimeoutExpired:
        raise KernelRefused(-1, doing, command[0], errno.ETIMEDOUT) from None
