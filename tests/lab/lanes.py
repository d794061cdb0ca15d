# SPDX-License-Identifier: Apache-2.0
"""The distribution of the tests over the processes that run at the same time.

A cluster takes a minute to start and several kernels to keep up, so only some of the
processes get one. Tests of a cluster are handed out by the file, since those of a file
share services that take long to start; all others one by one.
"""

import pytest
from xdist.scheduler import LoadGroupScheduling
from xdist.workermanage import WorkerController

#: How many processes have a cluster.
CLUSTERS = 2

#: Begins the group of tests that need a cluster.
_CLUSTER = "cluster"

#: The files that take longest, as measured on 2026-11-26, the longest first: what is
#: handed out last should be short, so that all processes end at the same time.
_LONGEST = (
    "test_own_connections",
    "test_cinders_rules",
    "test_cluster_file_system",
    "test_fencing",
    "test_scheduling",
    "test_two_services",
    "test_policies",
    "test_portals",
    "test_crashes",
    "test_take_over",
    "test_healing",
    "test_restart",
    "test_churn",
    "test_costs",
    "test_law_1",
)


def order(item: pytest.Item) -> tuple[bool, bool, int]:
    """Give a key to sort tests by: clusters' first, and long ones before short ones."""
    name = item.path.stem
    return (
        not _needs_a_cluster(item),
        item.get_closest_marker("whole_run") is not None,
        _LONGEST.index(name) if name in _LONGEST else len(_LONGEST),
    )


def group(item: pytest.Item) -> None:
    """Put a test that needs a cluster into the group of its file."""
    if _needs_a_cluster(item):
        item.add_marker(pytest.mark.xdist_group(f"{_CLUSTER}-{item.path.stem}"))


def _needs_a_cluster(item: pytest.Item) -> bool:
    return "cluster" in getattr(item, "fixturenames", ())


class Lanes(LoadGroupScheduling):
    """Gives groups that need a cluster to the first processes only."""

    def _assign_work_unit(self, node: WorkerController) -> None:
        gets_clusters = node in self.nodes[:CLUSTERS]
        for scope in self.workqueue:
            if gets_clusters or not scope.startswith(_CLUSTER):
                self.workqueue.move_to_end(scope, last=False)
                super()._assign_work_unit(node)
                return
        node.shutdown()
