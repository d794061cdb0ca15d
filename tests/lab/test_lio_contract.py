# SPDX-License-Identifier: Apache-2.0
"""The kernel's LIO keeps the same contract as the LIO in memory."""

import pytest

from tests.contract.lio import LioContract

pytestmark = pytest.mark.in_turn(3, of="file")


class TestLio(LioContract):
    """The kernel's LIO keeps the contract."""
