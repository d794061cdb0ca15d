# SPDX-License-Identifier: Apache-2.0
"""Two nodes without a shared disk: DRBD copies one's disk to the other."""

from collections.abc import Mapping
from pathlib import Path

from lab.guest.disks import DISKS
from lab.guest.system import run
from lab.guest.volume_settings import SQLITE, configure
from lab.plan import SECOND_GROUP, STORAGE_PAIR, NodePlan
from tests.lab.guest import by_hand, shared_group
from tests.lab.guest.shared_group import GROUP

_RESOURCE, _DEVICE = "lab", "/dev/drbd0"
_DISK = DISKS[SECOND_GROUP]

#: How long a node takes the other for the primary one when it says nothing, in seconds:
#: DRBD's ping-int is 10 s.
KEEPS = 30.0

_CONF = """\
resource {name} {{
    protocol C;
    device {device};
    disk {disk};
    meta-disk internal;
{nodes}}}
"""
_NODE = """\
    on {plan.name} {{
        address {plan.storage_address}:7789;
    }}
"""


def missing() -> list[str]:
    """Give the programs that this needs and the node has not."""
    return by_hand.missing("drbdadm")


def join(_plan: NodePlan, options: Mapping[str, str]) -> None:
    """Let this node be one of the two, with Cinder's configuration."""
    configure(options, SQLITE)
    run("vgremove", "--yes", SECOND_GROUP)
    run("pvremove", "--yes", _DISK)
    shared_group.prepare(_DEVICE)
    # On the disk below LVM would find the same group.
    conf = Path("/etc/lvm/lvm.conf")
    begin = "global_filter = ["
    conf.write_text(conf.read_text().replace(begin, f'{begin}"r|^{_DISK}$|", '))
    nodes = "".join(_NODE.format(plan=plan) for plan in STORAGE_PAIR)
    Path("/etc/drbd.d/lab.res").write_text(
        _CONF.format(name=_RESOURCE, device=_DEVICE, disk=_DISK, nodes=nodes)
    )
    run("modprobe", "drbd")
    run("drbdadm", "create-md", "--force", _RESOURCE)
    run("drbdadm", "up", _RESOURCE)


def make_group() -> None:
    """Make the group on what is copied, and leave its volumes to nobody."""
    run("drbdadm", "wait-connect", _RESOURCE)
    # Both disks are empty, so nothing has to be copied first.
    run("drbdadm", "new-current-uuid", "--clear-bitmap", f"{_RESOURCE}/0")
    run("drbdadm", "primary", _RESOURCE)
    run("vgcreate", "--yes", GROUP, _DEVICE)
    shared_group.make_state_volume()
    run("vgchange", "-an", GROUP)
    run("drbdadm", "secondary", _RESOURCE)


def take(timeout: float) -> float:
    """Take the back end; see ``by_hand.take``."""
    return by_hand.take(_activate, timeout)


def _activate() -> None:
    run("drbdadm", "primary", _RESOURCE)
    run("vgchange", "-ay", GROUP)


def give_away() -> None:
    """Let the other node take the back end."""
    by_hand.give_away()
    run("drbdadm", "secondary", _RESOURCE)
