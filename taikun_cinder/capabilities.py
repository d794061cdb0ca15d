# SPDX-License-Identifier: Apache-2.0
"""The capabilities that a back end reports, for the scheduler and for operators."""

from collections.abc import Callable, Mapping
from typing import Any

VENDOR = "taikun_cinder"

#: The value of a pool that has no limit. Python reads this word as a number
#: (Cinder's own "infinite" is none), so a type can ask for ``>= 4`` of a pool.
UNLIMITED = "infinity"


def stated(
    stats: dict[str, Any],
    version: str,
    configuration: Any,
    of_target: Mapping[str, Any],
    multiattach_volumes: Callable[[], int],
) -> dict[str, Any]:
    """Give the LVM driver's statistics with the capabilities of this driver.

    Args:
        stats: what the LVM driver measured; empty as long as it has no volume group.
        version: of our driver.
        configuration: of the back end.
        of_target: what its kind of target can do, see ``Target.capabilities``.
        multiattach_volumes: counts the multi-attach volumes of the back end.
    """
    if not stats:
        return stats
    limit = configuration.taikun_max_multiattach_volumes
    pool: dict[str, Any] = {
        **of_target,
        "multiattach": True,
        # Of a type that does not say its own.
        "hosts_per_volume": configuration.taikun_max_hosts or UNLIMITED,
        # For our scheduler filter.
        "multiattach_only": configuration.taikun_multiattach_only,
        "multiattach_volumes_left": (
            max(0, limit - multiattach_volumes()) if limit else UNLIMITED
        ),
    }
    return {
        **stats,
        "vendor_name": VENDOR,
        "driver_version": version,
        # Each volume has a target of its own. Only volumes that share one need a
        # host to scan and detach them one at a time (os_brick guard_connection).
        "shared_targets": False,
        "pools": [{**known, **pool} for known in stats["pools"]],
    }
