# SPDX-License-Identifier: Apache-2.0
"""What the back end tells the scheduler that it can do."""

from typing import Any

VENDOR = "taikun_cinder"


def stated(stats: dict[str, Any], version: str) -> dict[str, Any]:
    """Give the LVM driver's statistics with our own statement.

    Args:
        stats: what the LVM driver measured; empty as long as it has no volume group.
        version: of our driver.
    """
    if not stats:
        return stats
    return {
        **stats,
        "vendor_name": VENDOR,
        "driver_version": version,
        # Each volume has a target of its own. Only volumes that share one need a
        # host to scan and detach them one at a time (os_brick guard_connection).
        "shared_targets": False,
        "pools": [{**pool, "multiattach": True} for pool in stats["pools"]],
    }
