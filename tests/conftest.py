# SPDX-License-Identifier: Apache-2.0
"""Settings for all tests."""

import pytest
from hypothesis import settings

# A test's module is rewritten to tell what it compared; these are inherited from.
pytest.register_assert_rewrite("tests.contract.lio", "tests.contract.suite")

# An example may take long, since the machine may be busy with a lab.
settings.register_profile("ours", deadline=None, print_blob=True)
settings.load_profile("ours")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what the tests of all kinds of labs have."""
    parser.addoption(
        "--keep-lab",
        action="store_true",
        help="leave the lab of the tests up, to look around in it",
    )
