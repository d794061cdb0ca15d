# SPDX-License-Identifier: Apache-2.0
"""A compute node's side of an attach: os-brick connects and disconnects a volume."""

import os
from typing import Any

from os_brick import privileged
from os_brick import setup as setup_brick
from os_brick.initiator import connector
from oslo_concurrency import lockutils
from oslo_config import cfg
from oslo_privsep import priv_context

from lab.plan import NODES


def _prepare() -> None:
    # The node's agent is root, so os-brick may act in this process: starting its
    # privileged daemon anew for every call would take longer than the call.
    # Releases of os-brick have one such context or two.
    for context in vars(privileged).values():
        if isinstance(context, priv_context.PrivContext):
            context.set_client_mode(False)
    lockutils.set_defaults("/run/lock")
    setup_brick(cfg.CONF)


def properties(multipath: bool = False) -> dict[str, Any]:
    """Give this host's connector, as Nova sends it to Cinder.

    Raises:
        ProcessExecutionError: multipathd does not run though it is needed.
    """
    _prepare()
    name = os.uname().nodename
    (plan,) = (node for node in NODES if node.name == name)
    return dict(
        connector.get_connector_properties(
            "sudo", plan.storage_address, multipath, multipath, host=name
        )
    )


def _connector(information: dict[str, Any], *, multipath: bool) -> Any:
    _prepare()
    return connector.InitiatorConnector.factory(
        information["driver_volume_type"],
        "sudo",
        use_multipath=multipath,
        device_scan_attempts=5,
    )


def connect(information: dict[str, Any], multipath: bool = False) -> dict[str, Any]:
    """Connect a volume; give os-brick's device information (``path``, ...)."""
    own = _connector(information, multipath=multipath)
    device = own.connect_volume(dict(information))
    return {name: str(value) for name, value in device.items()}


def disconnect(
    information: dict[str, Any], device: dict[str, Any], *, force: bool = False
) -> None:
    """Flush and disconnect a volume; by force, its disk need not answer any more."""
    own = _connector(information, multipath="multipath_id" in device)
    own.disconnect_volume(
        dict(information), dict(device), force=force, ignore_errors=force
    )
