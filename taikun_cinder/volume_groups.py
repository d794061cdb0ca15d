# SPDX-License-Identifier: Apache-2.0
"""The node's volume groups, as LVM shows them to Cinder."""

import contextlib
import functools
from pathlib import Path
from typing import Any

from cinder import exception, utils
from cinder.brick.local_dev import lvm
from cinder.volume import volume_utils
from oslo_concurrency import processutils


class Group:
    """The volume group of a back end.

    Args:
        configuration: the back end's section.
    """

    def __init__(self, configuration: Any) -> None:
        self._configuration = configuration

    @property
    def folder(self) -> Path:
        """Where the block devices of its active volumes are."""
        return Path("/dev", self._configuration.volume_group)

    def activate(self, name: str) -> None:
        """Make a volume's block device appear; nothing happens if it is there.

        Raises:
            VolumeGroupNotFound: LVM does not know the group.
            ProcessExecutionError: LVM refused.
        """
        if not (self.folder / name).exists():
            self._lvm.activate_lv(name)

    @functools.cached_property
    def _lvm(self) -> lvm.LVM:
        return _open(self._configuration)


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
