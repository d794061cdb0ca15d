# SPDX-License-Identifier: Apache-2.0
"""Starts, finds and ends the daemons that run in a node."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from lab.guest import service_user
from lab.guest.disks import mount_state
from lab.processes import runs
from lab.services.cinder_conf import ETC, METRICS, STATE
from lab.workdir import INSIDE


def _note(name: str) -> Path:
    return Path(f"/run/daemon-{name}.pid")


def prepare_cinder(user: str = service_user.USER) -> None:
    """Lay the user, the configuration and the folders of Cinder's services.

    The folders belong to ``user``, whom the services run as: the driver starts on no
    one else's.

    The configuration is copied, since only root can read the host's folder. A service
    that is started again gets the present configuration.
    """
    etc, state = Path(ETC), Path(STATE)
    service_user.make(state, etc)
    service_user.install(INSIDE / "etc" / "cinder", etc)
    service_user.own(state, state / "locks", Path(METRICS), user=user)
    mount_state(state / "taikun_cinder")
    service_user.own(state / "taikun_cinder", user=user)
    (state / "taikun_cinder").chmod(0o700)


def start(
    name: str,
    argv: list[str],
    user: str = service_user.USER,
    environment: Mapping[str, str] | None = None,
) -> int:
    """Start a daemon in a process group of its own; give the group's number.

    What it prints goes to the log ``NAME`` of the lab.

    Args:
        name: of the daemon and of its log.
        argv: its command; one without a folder is this Python environment's.
        user: whom it runs as.
        environment: its whole environment; by default that of Cinder's services.
    """
    command = [str(service_user.BIN / argv[0]), *argv[1:]]
    with (INSIDE / "logs" / f"{name}.log").open("a") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            user=user,
            group=user,
            extra_groups=[],
            env=environment or service_user.environment(),
        )
    _note(name).write_text(str(process.pid))
    return process.pid


def alive(name: str) -> bool:
    """Say whether a daemon that :func:`start` started still runs."""
    try:
        return runs(int(_note(name).read_text()))
    except FileNotFoundError:
        return False


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
