# SPDX-License-Identifier: Apache-2.0
"""Starts, finds and ends the daemons that run in a node."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from lab.workdir import INSIDE


def _note(name: str) -> Path:
    return Path(f"/run/daemon-{name}.pid")


def prepare_cinder() -> None:
    """Let Cinder's services find their configuration, and become root by sudo.

    Cinder asks sudo for its privileged processes even when it is root, and its filters
    for them take configuration files below /etc only.
    """
    link = Path("/etc/cinder")
    if not link.exists():
        link.symlink_to(INSIDE / "etc" / "cinder")
    sudoers = Path("/etc/sudoers.d/cinder")
    path = f"{sys.prefix}/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    sudoers.write_text(f"Defaults secure_path = {path}\n")
    sudoers.chmod(0o440)


def start(name: str, argv: list[str]) -> int:
    """Start a daemon in a process group of its own; give the group's number.

    What it prints goes to the log ``NAME`` of the lab.
    """
    command = [str(Path(sys.prefix) / "bin" / argv[0]), *argv[1:]]
    with (INSIDE / "logs" / f"{name}.log").open("a") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    _note(name).write_text(str(process.pid))
    return process.pid


def alive(name: str) -> bool:
    """Say whether a daemon that :func:`start` started still runs."""
    try:
        pid = int(_note(name).read_text())
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def end(name: str, number: int = signal.SIGTERM, timeout: float = 60) -> None:
    """Send a signal to a daemon and wait until it is gone.

    SIGKILL goes to the whole group, as when the node's memory runs out.
    """
    pid = int(_note(name).read_text())
    (os.killpg if number == signal.SIGKILL else os.kill)(pid, number)
    deadline = time.monotonic() + timeout
    while alive(name):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{name} did not end in {timeout:.0f} s")
        time.sleep(0.05)
