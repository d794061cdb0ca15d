# SPDX-License-Identifier: Apache-2.0
"""What an operator does by hand to move a back end, whatever keeps the nodes apart."""

import shutil
import time
from collections.abc import Callable

from lab.guest.system import run
from tests.lab.guest import shared_group
from tests.lab.guest.pacemaker import ADDRESS
from tests.lab.guest.shared_group import GROUP, MOUNT

_ANNOUNCE = "/usr/libexec/heartbeat/send_arp"
_ON_HOSTS_NETWORK = (f"{ADDRESS}/24", "dev", "eth1")


def missing(*tools: str) -> list[str]:
    """Give the programs that this and a way of locking need, and the node has not."""
    path = "/usr/sbin:/sbin:/usr/bin:/bin"
    return [tool for tool in (*tools, _ANNOUNCE) if not shutil.which(tool, path=path)]


def take(activate: Callable[[], object], timeout: float) -> float:
    """Take the back end, as soon as the volumes can be had.

    Args:
        activate: makes them this node's.
        timeout: how long to try, in seconds.

    Returns:
        after how many seconds they were this node's.

    Raises:
        RuntimeError: they are the other node's still, or the exports do not start.
    """
    began = time.monotonic()
    while True:
        try:
            activate()
            break
        except RuntimeError:
            if time.monotonic() - began > timeout:
                raise
            time.sleep(1)
    took = time.monotonic() - began
    shared_group.mount()
    run("ip", "address", "add", *_ON_HOSTS_NETWORK)
    run(_ANNOUNCE, "-i", "200", "-r", "5", "eth1", ADDRESS, "auto", "x", "x")
    _agent("start")
    return took


def give_away() -> None:
    """Let go of the back end's volumes, in the other order."""
    _agent("stop")
    run("ip", "address", "del", *_ON_HOSTS_NETWORK)
    run("umount", str(MOUNT))
    run("vgchange", "-an", GROUP)


def _agent(action: str) -> None:
    status, said = shared_group.agent(action)
    if status:
        raise RuntimeError(said)
