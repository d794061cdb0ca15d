# SPDX-License-Identifier: Apache-2.0
"""What a service tells of itself, as an operator on its node gets at it."""

import os
import signal
import time
from pathlib import Path
from typing import Any

from cinder import version
from oslo_reports import guru_meditation_report


def report() -> dict[str, Any]:
    """Make a Guru Meditation Report of this process; give it, and the ``seconds``."""
    start = time.monotonic()
    text = guru_meditation_report.TextGuruMeditation(version).run()
    return {"text": text, "seconds": time.monotonic() - start}


def ask_for_reports(daemon: str) -> int:
    """Send SIGUSR2 to the processes that serve back ends; give their number.

    Args:
        daemon: the name of cinder-volume in this node, as it was started.
    """
    parent = Path(f"/run/daemon-{daemon}.pid").read_text()
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    services = [
        int(child)
        for child in children
        if b"cinder-volume" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]
    for service in services:
        os.kill(service, signal.SIGUSR2)
    return len(services)
