# SPDX-License-Identifier: Apache-2.0
"""The node's volume groups, as LVM shows them to Cinder."""

import contextlib
from typing import Any

from cinder import exception, utils
from cinder.brick.local_dev import lvm
from cinder.volume import volume_utils
from oslo_concurrency import processutils


def names(configuration: Any) -> list[str]:
    """List their names.

    Raises:
        ProcessExecutionError: LVM's vgs failed.
        OSError: it could not be run.
    """
    conf = configuration.lvm_conf_file
    # Its constructor makes all LVM commands read lvm_conf_file, even where it fails.
    with contextlib.suppress(
        exception.VolumeGroupNotFound, processutils.ProcessExecutionError
    ):
        lvm.LVM(
            configuration.volume_group,
            utils.get_root_helper(),
            executor=utils.execute,
            lvm_conf=None if conf.lower() == "none" else conf,
            suppress_fd_warn=configuration.lvm_suppress_fd_warnings,
        )
    return [group["name"] for group in volume_utils.get_all_volume_groups()]
