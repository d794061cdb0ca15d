# SPDX-License-Identifier: Apache-2.0
"""The node's volume groups, as LVM shows them to Cinder."""

import contextlib
import dataclasses
import functools
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cinder import exception, utils
from cinder.brick.local_dev import lvm
from oslo_concurrency import processutils

from taikun_cinder import state_volume
from taikun_cinder.exception import ActivationRefused

#: What LVM says where another node has the lock of a volume, or of the pool that it is
#: in (lockd_lv_name() in lib/locking/lvmlockd.c).
_ELSEWHERE = re.compile(r"locked by other host: (\S+)")

#: Where lvmlockd listens; without it LVM changes nothing in a shared group.
_LVMLOCKD = Path("/run/lvm/lvmlockd.socket")

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

    A group may be shared with other nodes (lvmlockd(8)). LVM then lets one node have a
    volume, also where Cinder says ``-ay``. That is not enough: a node must not take a
    volume either whose group a cluster manager starts on another one.

    Args:
        name: of the group.
        lvm_of: gives Cinder's LVM for it, when a volume has to be activated.
        state_path: the folder of the records, which tells whether a shared group is
            started here, see ``state_volume``.
    """

    def __init__(
        self, name: str, lvm_of: Callable[[], Any], state_path: Path | None = None
    ) -> None:
        self.folder = Path("/dev", name)
        self._lvm_of = lvm_of
        self._state_path = state_path

    @classmethod
    def of(cls, configuration: Any) -> "Group":
        """Give the group of a back end's section, where no driver has opened it."""
        # Once for all its volumes, as it asks LVM several things.
        opened = functools.cache(lambda: _open(configuration))
        path = Path(configuration.taikun_state_path)
        return cls(configuration.volume_group, opened, path)

    def activate(self, name: str) -> None:
        """Make a volume's block device appear; nothing happens if it is there.

        Raises:
            ActivationRefused: another node has it, or may be about to.
            VolumeGroupNotFound: LVM does not know the group.
            ProcessExecutionError: LVM refused.
        """
        # An active volume has its device, and lvchange costs a process.
        device = self.folder / name
        if not device.exists():
            self._activate(name)
        if not device.exists():
            self.refresh(name)

    def _activate(self, name: str) -> None:
        opened = self._lvm_of()
        if self._state_path and (absence := not_started(self, self._state_path)):
            raise ActivationRefused(*absence)
        try:
            opened.activate_lv(name)
        except processutils.ProcessExecutionError as error:
            found = _ELSEWHERE.search(f"{error.stdout} {error.stderr}")
            if found is None:
                raise
            held, wanted = found[1], f"{self.folder.name}/{name}"
            pool = "" if held == wanted else f", which {wanted} is in"
            raise ActivationRefused(
                f"another node has {held} active{pool}, and LVM's lock of it",
                "Find that node: lvmlockctl --info shows such a lock as 'LK LV ex' on "
                f"the node that has it, and by the UUID that lvs -o lv_uuid {held} "
                "tells. See who uses it there (lsof, dmsetup info), and deactivate it "
                f"there by lvchange -an {held}. Do not take the lock by force: two "
                "nodes that write to one disk destroy it.",
            ) from None

    @property
    def lock(self) -> str:
        """How nodes share it, as ``sanlock`` or ``dlm``; empty if they do not.

        LVM is not asked on a node that takes part in no shared group. lvmlockd may
        start after this process, so that is looked at each time.

        Raises:
            ProcessExecutionError: LVM's vgs failed.
            OSError: it could not be run.
        """
        return self._lock_by_lvm if _LVMLOCKD.exists() else ""

    @functools.cached_property
    def _lock_by_lvm(self) -> str:
        locks = (lock for name, _, lock, _ in _rows() if name == self.folder.name)
        return next(locks, "")

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


def not_started(group: Group, state_path: Path) -> tuple[str, str] | None:
    """Say why a shared group is not started on this node, and what to do; else None.

    Args:
        group: it.
        state_path: the folder of its records.

    Raises:
        ProcessExecutionError: LVM's vgs failed.
        OSError: it could not be run.
    """
    name = group.folder.name
    if state_volume.of_group(state_path, name) or not group.lock:
        return None
    return absence(name, group.lock, state_path)


def absence(name: str, lock: str, state_path: Path) -> tuple[str, str]:
    """Say that a shared group is not started on this node, and what to do.

    Args:
        name: of the group.
        lock: how nodes share it.
        state_path: the folder of its records.
    """
    return (
        f"{name} is a volume group that nodes share ({lock}), and is not started on "
        f"this one: {state_path} (option taikun_state_path) is not on a logical volume "
        "of it",
        "Let the cluster manager start the back end, where it should be (crm_mon). It "
        "mounts that volume, too. A back end that has none needs a small logical "
        f"volume in {name} with an ext4 or XFS, and taikun_state_path there: records "
        "that stay on a node would let in again who was detached on another.",
    )


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
    found = lvm.LVM.get_all_volume_groups(utils.get_root_helper())
    return [group["name"] for group in found]


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
