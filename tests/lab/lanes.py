# SPDX-License-Identifier: Apache-2.0
"""The distribution of the tests over the processes that run at the same time.

A cluster takes a minute to start and several kernels to keep up, so only some of the
processes get one. Tests of a cluster are handed out by the file, since those of a file
share services that take long to start; all others one by one.
"""

from collections.abc import Iterable

import pytest
from xdist.scheduler import LoadGroupScheduling
from xdist.workermanage import WorkerController

from tests.lab import durations

#: How many processes have a cluster.
CLUSTERS = 2

#: Begins the group of tests that need a cluster.
_CLUSTER = "cluster"


def order(items: Iterable[pytest.Item]) -> list[pytest.Item]:
    """Sort tests: clusters' first, and what takes long before what does not.

    What is handed out last should be short, so that all processes end at the same time.
    """
    seconds = {item: durations.of(item) for item in items}
    files: dict[str, float] = {}
    for item, taken in seconds.items():
        files[item.path.stem] = files.get(item.path.stem, 0.0) + taken

    def key(item: pytest.Item) -> tuple[bool, bool, float, str]:
        cluster = _needs_a_cluster(item)
        last = item.get_closest_marker("whole_run") is not None
        longest = files[item.path.stem] if cluster else seconds[item]
        return not cluster, last, -longest, item.path.stem if cluster else ""

    return sorted(items, key=key)


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
