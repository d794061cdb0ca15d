# SPDX-License-Identifier: Apache-2.0
"""The kernel's LIO keeps the same contract as the LIO in memory."""

from tests.contract.lio import LioContract


class TestLio(LioContract):
    """The kernel's LIO keeps the contract."""
