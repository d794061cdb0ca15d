# SPDX-License-Identifier: Apache-2.0
"""The node's volume groups, as LVM shows them to Cinder."""

import contextlib
import dataclasses
import functools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cinder import exception, utils
from cinder.brick.local_dev import lvm
from cinder.volume import volume_utils
from oslo_concurrency import processutils

#: Lets LVM look at all devices, whatever its devices file and its filters say.
EVERYWHERE = (
    'devices{use_devicesfile=0 filter=["a|.*|"] global_filter=["a|.*|"]}'  # its syntax
)


@dataclasses.dataclass(frozen=True)
class Hidden:
    """A volume group that is there, and that LVM does not show to Cinder.

    Attributes:
        devices: that it is on.
        system: of another node that it belongs to (lvmsystemid(7)); empty if of none.
        lock: how nodes share it (lvmlockd(8)); empty if they do not.
        by_configuration: whether the devices file or a filter hides it.
    """

    devices: tuple[str, ...]
    system: str
    lock: str
    by_configuration: bool


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


def hidden(name: str) -> Hidden | None:
    """Look for a volume group that :func:`names` does not list; None if it is nowhere.

    Raises:
        ProcessExecutionError: LVM's vgs failed.
        OSError: it could not be run.
    """
    rows = [row for row in _rows("--config", EVERYWHERE) if row[0] == name]
    if not rows:
        return None
    _, system, lock, _ = rows[0]
    shown = any(row[0] == name for row in _rows())
    devices = tuple(device for *_, device in rows)
    return Hidden(devices, system, lock, by_configuration=not shown)


def _rows(*arguments: str) -> Iterator[list[str]]:
    """List volume groups, also those of other nodes: name, system, lock, device."""
    command = [*lvm.LVM.LVM_CMD_PREFIX, "vgs", "--noheadings", "--foreign", "--shared"]
    fields = "vg_name,vg_systemid,vg_lock_type,pv_name"
    said, _ = processutils.execute(
        *command,
        *("-o", fields, "--separator", "|"),
        *arguments,
        root_helper=utils.get_root_helper(),
        run_as_root=True,
    )
    for line in said.splitlines():
        row = line.strip().split("|")
        if len(row) == fields.count(",") + 1:
            yield row


def _open(configuration: Any) -> lvm.LVM:
    conf = configuration.lvm_conf_file
    return lvm.LVM(
        configuration.volume_group,
        utils.get_root_helper(),
        executor=utils.execute,
        lvm_conf=None if conf.lower() == "none" else conf,
        suppress_fd_warn=configuration.lvm_suppress_fd_warnings,
    )
