# SPDX-License-Identifier: Apache-2.0
"""The node's volume groups, as LVM shows them to Cinder."""

import contextlib
import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cinder import exception, utils
from cinder.brick.local_dev import lvm
from cinder.volume import volume_utils
from oslo_concurrency import processutils


class Group:
    """The volume group of a back end, and the one place that activates for an export.

    Cinder's LVM driver activates by itself what it makes, clones and extends.

    Args:
        name: of the group.
        lvm_of: gives Cinder's LVM for it, when a volume has to be activated.
    """

    def __init__(self, name: str, lvm_of: Callable[[], Any]) -> None:
        self.folder = Path("/dev", name)
        self._lvm_of = lvm_of

    @classmethod
    def of(cls, configuration: Any) -> "Group":
        """Give the group of a back end's section, where no driver has opened it."""
        # Once for all its volumes, as it asks LVM several things.
        opened = functools.cache(lambda: _open(configuration))
        return cls(configuration.volume_group, opened)

    def activate(self, name: str) -> None:
        """Make a volume's block device appear; nothing happens if it is there.

        Raises:
            VolumeGroupNotFound: LVM does not know the group.
            ProcessExecutionError: LVM refused.
        """
        # An active volume has its device, and lvchange costs a process.
        device = self.folder / name
        if not device.exists():
            self._lvm_of().activate_lv(name)
        if not device.exists():
            self.refresh(name)

    def refresh(self, name: str) -> None:
        """Let udev look again at a volume that is active; its I/O goes on.

        Otherwise LVM does nothing about an active volume whose link was lost.

        Raises:
            ProcessExecutionError: LVM refused.
        """
        volume = f"{self.folder.name}/{name}"
        utils.execute("lvchange", "--refresh", volume, run_as_root=True)

    def is_open(self, name: str, patience: float = 10) -> bool:
        """Say whether somebody has a volume's block device open, as a file or a disk.

        Args:
            name: the volume's.
            patience: how long to wait for who looks at a device only for a moment, as
                udev does, in seconds.
        """
        deadline = time.monotonic() + patience
        try:
            while self._lvm_of().lv_is_open(name):
                if time.monotonic() > deadline:
                    return True
                time.sleep(0.5)
        except processutils.ProcessExecutionError:
            return False  # there is none, or the deletion itself will tell
        return False


def names(configuration: Any) -> list[str]:
    """List the names of the node's volume groups.

    Raises:
        ProcessExecutionError: LVM's vgs failed.
        OSError: it could not be run.
    """
    # Its constructor makes all LVM commands read lvm_conf_file, even where it fails.
    with contextlib.suppress(
        exception.VolumeGroupNotFound, processutils.ProcessExecutionError
    ):
        _open(configuration)
    return [group["name"] for group in volume_utils.get_all_volume_groups()]


def _open(configuration: Any) -> lvm.LVM:
    conf = configuration.lvm_conf_file
    return lvm.LVM(
        configuration.volume_group,
        utils.get_root_helper(),
        executor=utils.execute,
        lvm_conf=None if conf.lower() == "none" else conf,
        suppress_fd_warn=configuration.lvm_suppress_fd_warnings,
    )
