# SPDX-License-Identifier: Apache-2.0
"""The kernel's LIO keeps the same contract as the LIO in memory."""

from collections.abc import Iterator

import pytest

from lab.single import SingleNode
from tests.contract.lio import LioContract
from tests.lab.lio_world import NodeLab, NodeWorld


@pytest.fixture
def lab(node: SingleNode) -> Iterator[NodeLab]:
    """The node with one volume in it."""
    with node.node.session() as process:
        yield NodeLab(NodeWorld(process))


class TestLio(LioContract):
    """The kernel's LIO keeps the contract."""
