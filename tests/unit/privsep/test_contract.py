# SPDX-License-Identifier: Apache-2.0
"""The privileged code keeps the contract over an imitated kernel."""

from tests.contract.lio import LioContract


class TestImitation(LioContract):
    """The driver's target, its privileged code and an imitated kernel."""
