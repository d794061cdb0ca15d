# SPDX-License-Identifier: Apache-2.0
"""The cluster with Nova as a fixture; after each test its kernels must be healthy."""

from collections.abc import Iterator

import pytest

from lab.kernel import choice
from lab.nova.cluster import NovaCluster
from lab.progress import Terminal
from lab.workdir import PROJECT, WorkFolder
from tests.lab.health import healthy, stays

FOLDER = PROJECT / ".lab-tests" / "nova"


@pytest.fixture(scope="session")
def _the_cluster(request: pytest.FixtureRequest) -> Iterator[NovaCluster]:
    """One cluster for all: it takes minutes. One that was kept is used again."""
    work = WorkFolder(FOLDER)
    cluster = NovaCluster.find(work)
    if cluster is None:
        choice.prepare(Terminal())
        cluster = NovaCluster.up(work, Terminal())
    yield cluster
    if stays(request.config, FOLDER):
        cluster.sandbox.detach()
    else:
        cluster.down()


@pytest.fixture
def cluster(_the_cluster: NovaCluster) -> Iterator[NovaCluster]:
    """The cluster, with a check of its kernels behind the test."""
    _the_cluster.sandbox.join_network()
    _the_cluster.mend()
    with healthy(*_the_cluster.nodes.values()):
        yield _the_cluster
