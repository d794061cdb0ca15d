# SPDX-License-Identifier: Apache-2.0
"""The answers that Cinder gets about an export, for the volume and for a host."""

from collections.abc import Callable
from typing import Any

from taikun_cinder.access.identity import MADE_FOR
from taikun_cinder.access.model import Grant, Mode
from taikun_cinder.layout import Layout
from taikun_cinder.targets.base import Target


def model_update(target: Target, layout: Layout, name: str) -> dict[str, str]:
    """Give what Cinder keeps with the volume.

    Args:
        target: what exports.
        layout: how.
        name: the name of the volume's target.

    It has no ``provider_auth``: each host has a pair of its own, and Cinder shows that
    field in debug logs and in the metadata of backups.
    """
    return {"provider_location": target.location(name, layout.portals)}


def host_lock(volume: Any, service: Callable[[], str | None]) -> dict[str, Any]:
    """Give what Cinder keeps with the volume for hosts, whether they lock.

    It says whether os-brick takes its lock of the back end around attach and detach.

    Two servers on one host share the session of a multi-attach volume, so a detach must
    not log out what an attach beside it has just found logged in. os-brick locks always
    if ``shared_targets`` is None, by the service's id (guard_connection() in
    os_brick/initiator/utils.py). By a back end's statistics Cinder's manager can only
    make it True or False for iSCSI, as the volume is created. None without a service's
    id would make every attach fail (volumes that were managed have none).

    Args:
        volume: Cinder's.
        service: gives the id of the back end's service; None if it has none.
    """
    if not volume["multiattach"]:
        return {"shared_targets": False}
    found = volume["service_uuid"] or service()
    return {} if found is None else {"shared_targets": None, "service_uuid": found}


def of_grant(
    target: Target,
    layout: Layout,
    volume: Any,
    name: str,
    grant: Grant,
    mode: Mode,
    *,
    readers_disk: bool,
    multipath: bool,
) -> dict[str, Any]:
    """Give what a host needs to know to connect.

    Args:
        target: what exports.
        layout: how.
        volume: Cinder's.
        name: the name of its target.
        grant: what the host has by all its connections.
        mode: what it has by this one.
        readers_disk: whether it is to use that disk, and not the main one.
        multipath: whether the host asks for all paths.

    The mode is beside the data: there Cinder's manager overwrites it, and what is
    beside goes before (manager._connection_create).
    """
    protocol, data = target.connection(
        name,
        layout.portals,
        grant,
        readers_disk=readers_disk,
        multipath=multipath,
    )
    return {
        "driver_volume_type": protocol,
        "access_mode": mode.value,
        "data": {
            **data,
            "volume_id": volume["id"],
            MADE_FOR: grant.initiator.name,
            "encrypted": volume["encryption_key_id"] is not None,
            "discard": layout.discard and not readers_disk,
        },
    }
