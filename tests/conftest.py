# SPDX-License-Identifier: Apache-2.0
"""Settings for all tests."""

from hypothesis import settings

# An example may take long, since the machine may be busy with a lab.
settings.register_profile("ours", deadline=None, print_blob=True)
settings.load_profile("ours")
