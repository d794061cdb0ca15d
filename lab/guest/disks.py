# SPDX-License-Identifier: Apache-2.0
"""The volume group of the storage node."""

from pathlib import Path

from lab.guest.system import run
from lab.plan import VOLUME_GROUP, NodePlan

DISK = "/dev/ubda"

# LVM does not know User-Mode Linux's disks by itself, and must leave alone the disks
# that come in over iSCSI: they would make it wait for its own targets.
LVM_CONF = f"""\
devices {{
    types = ["ubd", 16]
    global_filter = ["a|^{DISK}$|", "r|.*|"]
    use_devicesfile = 0
}}
activation {{
    monitoring = 0
    thin_pool_autoextend_threshold = 100
}}
"""


def bring_up_volume_group(plan: NodePlan) -> None:
    """Make the volume group at the first boot, find it again at a later one.

    Its logical volumes are not activated: after a reboot that is the driver's work.
    """
    if not plan.disk:
        return
    Path("/etc/lvm/lvm.conf").write_text(LVM_CONF)
    if not run("pvs", "--noheadings", "-o", "vg_name", "--select", "vg_name!=''"):
        run("vgcreate", "--yes", VOLUME_GROUP, DISK)
