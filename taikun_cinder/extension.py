# SPDX-License-Identifier: Apache-2.0
"""The extension that LVM cannot do, refused so that the volume stays in use.

LVM extends the origin of thick snapshots only while it is inactive ("Snapshot origin
volumes can be resized only while inactive"), and nobody can make it so while it is
exported. Cinder's LVM driver tries (cinder.brick.local_dev.lvm.LVM.extend_volume).

A driver can only refuse by an error, and Cinder's manager makes ``error_extending`` of
any (manager.extend_volume), which keeps the volume from every other request, though
nothing happened to it. The scheduler's filter refuses before, and is the better way.
"""

import threading
import time
from typing import Any

from oslo_log import log as logging

from taikun_cinder import database
from taikun_cinder.exception import ExtendRefused
from taikun_cinder.volume_groups import Group

LOG = logging.getLogger(__name__)

_FAILED = "error_extending"

#: How long the manager may take to write the status down, in seconds.
_PATIENCE = 60.0
_PAUSE = 0.1

#: How long udev may look at a device, in seconds.
_MOMENT = 2.0


def refuse_impossible(lvm: Any, group: Group, volume: Any) -> None:
    """Refuse to extend a volume that is open and has a thick snapshot.

    Args:
        lvm: Cinder's.
        group: the volume's group.
        volume: as the driver is given it.

    Raises:
        ExtendRefused: nothing was changed; the volume gets its status back.
    """
    name = volume["name"]
    if not (lvm.lv_has_snapshot(name) and group.is_open(name, _MOMENT)):
        return
    # The status that the API found, before it made "extending" of it.
    if before := volume["previous_status"]:
        thread = threading.Thread(
            target=_give_back,
            args=(volume["id"], before),
            name=f"taikun-extend-{volume['id']}",
            daemon=True,
        )
        thread.start()
    raise ExtendRefused(volume=volume["id"], host=volume["host"])


def _give_back(volume_id: str, status: str) -> None:
    """Give the volume its status back as soon as the manager took it."""
    deadline, told = time.monotonic() + _PATIENCE, False
    while time.monotonic() < deadline:
        time.sleep(_PAUSE)
        try:
            if database.change_status(volume_id, _FAILED, status):
                LOG.info("Volume %s is %s again, as large as before", volume_id, status)
                return
        except Exception as error:
            if not told:
                what = f"The status of volume {volume_id} cannot be changed now"
                database.tell(error, f"{what}; that is tried again")
            told = True
    LOG.warning(
        "Volume %(volume)s was not extended, and Cinder has not said so. If it is "
        "%(failed)s, run openstack volume set --state %(status)s %(volume)s.",
        {"volume": volume_id, "failed": _FAILED, "status": status},
    )
