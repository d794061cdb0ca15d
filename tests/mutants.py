# SPDX-License-Identifier: Apache-2.0
"""A pytest plugin for the tests of a mutant: what comes before them is not seen."""

import sys

from hypothesis import Phase, settings

# The same examples for each mutant. That one of them fails is enough: nobody asks for
# the smallest.
settings.register_profile(
    "mutation",
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
)


def pytest_sessionstart() -> None:
    """Forget what was cached while the tests were collected, before the mutant."""
    for name, module in list(sys.modules.items()):
        if name.startswith("taikun_cinder."):
            for value in vars(module).values():
                if hasattr(value, "cache_clear"):
                    value.cache_clear()
