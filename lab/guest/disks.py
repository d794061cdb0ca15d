# SPDX-License-Identifier: Apache-2.0
"""The disks of the storage node: the volume groups, and the state of its services."""

from pathlib import Path

from lab.guest.system import run
from lab.plan import SECOND_GROUP, VOLUME_GROUP, NodePlan

#: Each volume group with its disk.
DISKS = {VOLUME_GROUP: "/dev/ubda", SECOND_GROUP: "/dev/ubdb"}
_ACCEPTED = ", ".join(f'"a|^{disk}$|"' for disk in DISKS.values())
STATE_DISK = "/dev/ubdc"
#: That of two storage nodes.
SHARED_DISK = "/dev/ubdd"

#: Where an ext4 says that it is one, in bytes, and how (linux/fs/ext4/ext4.h).
_EXT4_MAGIC_AT = 0x438
_EXT4_MAGIC = b"\x53\xef"

# LVM does not know User-Mode Linux's disks by itself, and must leave alone the disks
# that come in over iSCSI: they would make it wait for its own targets. It must not ask
# what to do with the file system of a volume that is gone, since no volume is cleared.
# A disk is a file in the machine's memory, which must get back what a volume had.
LVM_CONF = f"""\
devices {{
    types = ["ubd", 16]
    global_filter = [{_ACCEPTED}, "r|.*|"]
    use_devicesfile = 0
    issue_discards = 1
}}
allocation {{
    wipe_signatures_when_zeroing_new_lvs = 0
}}
activation {{
    monitoring = 0
    thin_pool_autoextend_threshold = 100
}}
"""


def bring_up_volume_groups(plan: NodePlan) -> None:
    """Make the volume groups at the first boot, find them again at a later one.

    Its logical volumes are not activated: after a reboot that is the driver's work.
    """
    if not plan.disk:
        return
    Path("/etc/lvm/lvm.conf").write_text(LVM_CONF)
    _allow_exports()
    if not run("pvs", "--noheadings", "-o", "vg_name", "--select", "vg_name!=''"):
        for group, disk in DISKS.items():
            run("vgcreate", "--yes", group, disk)


def _allow_exports() -> None:
    """Let the driver's privileged process export volumes of all groups."""
    folder = Path("/etc/taikun_cinder")
    folder.mkdir(mode=0o755, exist_ok=True)
    groups = f"[taikun_cinder]\nvolume_groups = {', '.join(DISKS)}\n"
    (folder / "privileged.conf").write_text(groups)
    (folder / "privileged.conf").chmod(0o644)


def mount_state(folder: Path) -> None:
    """Let a folder outlive the node's kernel, on a disk of its own.

    What was not synchronised is lost with the power, as on any disk.
    """
    if not Path(STATE_DISK).exists():
        return  # the node's services remember nothing
    with Path(STATE_DISK).open("rb") as disk:
        disk.seek(_EXT4_MAGIC_AT)
        is_new = disk.read(2) != _EXT4_MAGIC
    if is_new:
        run("mkfs.ext4", "-q", STATE_DISK)
    folder.mkdir(parents=True, exist_ok=True)
    if not folder.is_mount():
        run("mount", STATE_DISK, str(folder))
