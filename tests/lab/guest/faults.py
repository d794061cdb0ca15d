# SPDX-License-Identifier: Apache-2.0
"""Breaks things in the node on purpose; what is broken is in this node only."""

import contextlib
import os
import sys
from pathlib import Path

from rtslib_fb import RTSRoot

from lab.guest.system import run

_TOOL = Path(sys.prefix) / "bin" / "cinder-rtstool"
_REAL = _TOOL.with_name("cinder-rtstool.real")

# An initiator that must fail has this in its name.
UNLUCKY = "unlucky"


def fail_unlucky_initiators() -> None:
    """Let the in-tree target tool fail to add initiators with an unlucky name.

    The failure comes after the export is there and before the host is let in, which is
    where Cinder's manager takes the whole export away.
    """
    if _REAL.exists():
        return
    _TOOL.rename(_REAL)
    _TOOL.write_text(
        "#!/bin/sh\n"
        f'case "$*" in add-initiator*{UNLUCKY}*) exit 1;; esac\n'
        f'exec {_REAL} "$@"\n'
    )
    _TOOL.chmod(0o755)


def unmount_configfs() -> None:
    """Take LIO's configuration file system away."""
    run("umount", "/sys/kernel/config")


def mount_configfs() -> None:
    """Give it back."""
    run("mount", "-t", "configfs", "configfs", "/sys/kernel/config")


def hide_modules() -> None:
    """Make this a kernel that has no iSCSI target: neither loaded nor to be loaded."""
    with contextlib.suppress(FileNotFoundError):
        Path("/sys/kernel/config/target/iscsi").rmdir()  # it holds the module
    unmount_configfs()
    run("modprobe", "--remove", "iscsi_target_mod")
    run("mount", "-t", "tmpfs", "nothing", f"/lib/modules/{os.uname().release}")


def show_modules() -> None:
    """Give them back."""
    run("umount", f"/lib/modules/{os.uname().release}")
    run("modprobe", "iscsi_target_mod")
    mount_configfs()


def lose_exports() -> None:
    """Remove every export there is, as an operator's "targetcli clearconfig" does."""
    RTSRoot().clear_existing(confirm=True)


def point_backstore_elsewhere(volume_id: str, device: str) -> None:
    """Let a volume's backstore say that it is another device, or its own again."""
    (backstore,) = Path("/sys/kernel/config/target/core").glob(f"*/*{volume_id}")
    (backstore / "udev_path").write_text(device)


def replace_device(device: str) -> None:
    """Put a plain file in the place of a volume's device."""
    Path(device).rename(f"{device}.away")
    Path(device).touch()


def give_device_back(device: str) -> None:
    """Undo :func:`replace_device`."""
    Path(f"{device}.away").replace(device)
