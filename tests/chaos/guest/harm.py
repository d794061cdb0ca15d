# SPDX-License-Identifier: Apache-2.0
"""Breaks something on a node."""

import contextlib
import os
import signal
import time

from rtslib_fb import RTSRoot

from lab.guest import daemons
from tests.lab.guest import processes

#: How long systemd waits for the end of a service (TimeoutStopSec), in seconds.
_PATIENCE = 90.0


def kill_privileged() -> int:
    """Kill the privileged halves of the driver; give how many there were."""
    found = processes.privileged()
    for folder in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(folder.name), signal.SIGKILL)
    return len(found)


def end_service(name: str, number: int) -> None:
    """End a service by a signal; what does not end in time is killed, as by systemd.

    One that could not start has ended by itself.
    """
    with contextlib.suppress(ProcessLookupError):
        try:
            daemons.end(name, number, _PATIENCE)
        except TimeoutError:  # it waits for the end of a copy
            daemons.end(name, signal.SIGKILL)


def step_clock(seconds: float) -> None:
    """Set the node's clock forward, or back."""
    time.clock_settime(time.CLOCK_REALTIME, time.time() + seconds)


def remove_an_acl(which: float) -> str | None:
    """Remove a host's access to a volume by hand; give its name, None without any.

    Args:
        which: from 0 to 1, the place of the one among all that there are.
    """
    tpgs = [tpg for target in RTSRoot().targets for tpg in target.tpgs]
    acls = [acl for tpg in tpgs for acl in tpg.node_acls]
    if not acls:
        return None
    acls.sort(key=lambda acl: (acl.parent_tpg.parent_target.wwn, acl.node_wwn))
    chosen = acls[int(which * len(acls))]
    name = str(chosen.node_wwn)
    # Or its host, without its LUN 0 and not yet without its session, would be told for
    # the volume's data what the kernel has in its memory (``changes._end_session``).
    chosen.chap_password = ""
    chosen.tcq_depth = 1 if int(chosen.tcq_depth) != 1 else 2
    chosen.delete()
    return name
