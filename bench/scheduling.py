# SPDX-License-Identifier: Apache-2.0
"""The cost of our scheduler filter for each back end, beside Cinder's own filter.

    python -m bench.scheduling [--pools N]

It needs no lab: it is Cinder's scheduler code over pools as a large cloud has them.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from cinder import objects

objects.register_all()

from cinder.scheduler.filters.capabilities_filter import CapabilitiesFilter  # noqa: E402
from cinder.scheduler.host_manager import BackendState  # noqa: E402

from taikun_cinder.capabilities import UNLIMITED, VENDOR  # noqa: E402
from taikun_cinder.scheduler.filters import TaikunMultiattachFilter  # noqa: E402

_SPECS = {
    "multiattach": "<is> True",
    "taikun:secondary_mode": "ro",
    "volume_backend_name": "lvm-shared",
}


def _pools(number: int) -> list[BackendState]:
    return [
        BackendState(
            f"storage{index}@lvm#pool",
            None,
            {
                "vendor_name": VENDOR,
                "volume_backend_name": "lvm-shared",
                "multiattach": True,
                "multiattach_only": False,
                "multiattach_volumes_left": UNLIMITED,
            },
        )
        for index in range(number)
    ]


def _request() -> dict[str, Any]:
    volume_type = {"id": None, "name": "shared", "extra_specs": _SPECS}
    spec = {"volume_id": "a-volume", "volume_properties": {"size": 1}}
    return {"request_spec": spec, "resource_type": volume_type, "size": 1}


def microseconds(make: Callable[[], Any], pools: list[BackendState]) -> list[float]:
    """Give what a filter takes for each pool, five times, a request each."""
    taken = []
    for _run in range(5):
        request, filter_ = _request(), make()
        start = time.perf_counter()
        passed = list(filter_.filter_all(pools, request))
        taken.append((time.perf_counter() - start) / len(pools) * 1e6)
        if len(passed) != len(pools):
            raise RuntimeError(f"{len(passed)} of {len(pools)} pools passed")
    return taken


def main() -> int:
    """Measure both filters and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pools", type=int, default=10_000)
    number = parser.parse_args().pools
    pools = _pools(number)
    print(f"A request for a multi-attach volume over {number} pools, each time anew:")
    print(f"{'filter':28}{'us a pool':>10}{'min':>8}{'max':>8}")
    for filter_ in (CapabilitiesFilter, TaikunMultiattachFilter):
        taken = microseconds(filter_, pools)
        print(
            f"{filter_.__name__:28}{statistics.median(taken):10.2f}"
            f"{min(taken):8.2f}{max(taken):8.2f}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
