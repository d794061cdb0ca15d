# SPDX-License-Identifier: Apache-2.0
"""All checks, room by room, in the order in which they are made.

What others go by comes first: whose rights, what LVM says, the database.
"""

from collections.abc import Mapping, Sequence

from taikun_cinder.checks import (
    clock,
    configuration,
    database,
    locks,
    lvm,
    lvm_devices,
    metrics,
    node_services,
    policy,
    recorded,
    target,
    thin,
)
from taikun_cinder.checks.check import Check

#: By what they are about.
ROOMS: Mapping[str, Sequence[Check]] = {
    "Who looks": node_services.USER,
    "Configuration": (*configuration.CHECKS, *metrics.CHECKS, *policy.CHECKS),
    "Locks": locks.CHECKS,
    "Kernel and target": (*node_services.KERNEL, *target.CHECKS),
    "LVM": (*lvm.CHECKS, *thin.CHECKS, *lvm_devices.CHECKS),
    "Network": node_services.NETWORK,
    "Boot and hosts": node_services.BOOT,
    "Database and clock": (*database.CHECKS, *clock.CHECKS),
    "Records": recorded.CHECKS,
}

CHECKS: Sequence[Check] = [check for room in ROOMS.values() for check in room]
