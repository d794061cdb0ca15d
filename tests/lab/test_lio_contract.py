# SPDX-License-Identifier: Apache-2.0
"""The kernel's LIO keeps the same contract as the target in memory."""

from collections.abc import Iterator

import pytest

from lab.single import SingleNode
from tests.contract.suite import TargetContract, lab
from tests.lab.lio_world import LioWorld

__all__ = ["lab"]


@pytest.fixture
def world(node: SingleNode) -> Iterator[LioWorld]:
    """The node, empty, with our target."""
    with node.node.session() as process:
        yield LioWorld(process)


class TestLio(TargetContract):
    """The kernel's LIO keeps the contract."""
