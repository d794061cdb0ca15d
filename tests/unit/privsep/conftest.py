# SPDX-License-Identifier: Apache-2.0
"""An imitated node for the tests of the privileged half."""

import pytest

from tests.unit.privsep.node import ImitatedNode
from tests.unit.privsep.world import ImitatedLab, ImitatedWorld


@pytest.fixture
def storage(tmp_path):
    """Give a storage node with LIO loaded and nothing exported."""
    node = ImitatedNode(str(tmp_path / "db_root"))
    node.set_up()
    return node


@pytest.fixture
def mounted(storage):
    """Let this process see the storage node; give it."""
    with storage.mounted():
        yield storage


@pytest.fixture
def lab(tmp_path):
    """Give a storage node that has just booted, with one volume."""
    return ImitatedLab(ImitatedWorld(ImitatedNode(str(tmp_path / "db_root"))))
