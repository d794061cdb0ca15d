# SPDX-License-Identifier: Apache-2.0
"""Nodes that are kept apart by sanlock: leases on the disk, and a watchdog in each.

A watchdog resets its node when it cannot renew its lease. So nobody has to cut a lost
node's power: it is dead once its lease has run out.
"""

from collections.abc import Mapping
from pathlib import Path

from lab.guest.disks import SHARED_DISK
from lab.guest.system import run
from lab.guest.volume_settings import SQLITE, configure
from lab.plan import NodePlan
from tests.lab.guest import by_hand, shared_group
from tests.lab.guest.shared_group import GROUP

#: How long sanlock waits for the disk, in seconds; its own is 10. A lease runs out
#: after eight times as long, and the watchdog takes a minute more.
_IO_TIMEOUT = 4

#: How long a node that is lost may keep the volumes, in seconds.
KEEPS = 8.0 * _IO_TIMEOUT + 60


def missing() -> list[str]:
    """Give the programs that this needs and the node has not."""
    return by_hand.missing("sanlock", "wdmd", "lvmlockd")


def join(plan: NodePlan, options: Mapping[str, str]) -> None:
    """Let this node be one of the two, with Cinder's configuration."""
    configure(options, SQLITE)
    shared_group.prepare(SHARED_DISK)
    shared_group.use_lvmlockd()
    Path("/etc/lvm/lvmlocal.conf").write_text(
        f"local {{\n    host_id = {plan.number}\n}}\n"
    )
    run("modprobe", "softdog")
    for name in ("sanlock", "wdmd", "lvm"):
        Path("/run", name).mkdir(exist_ok=True)
    run("wdmd", "-G", "root")
    run("sanlock", "daemon", "-U", "root", "-G", "root")
    run("lvmlockd", "--sanlock-timeout", str(_IO_TIMEOUT))


def make_group() -> None:
    """Make the group on the disk of both, and leave its volumes to nobody."""
    shared_group.make_group(SHARED_DISK, "sanlock")
    run("vgchange", "-an", GROUP)


def take(timeout: float) -> float:
    """Take the back end; see ``by_hand.take``."""
    return by_hand.take(_activate, timeout)


def _activate() -> None:
    run("vgchange", "--lockstart", GROUP)
    run("vgchange", "-aey", GROUP)


def give_away() -> None:
    """Let the other node take the back end."""
    by_hand.give_away()
