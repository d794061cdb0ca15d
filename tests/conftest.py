# SPDX-License-Identifier: Apache-2.0
"""What holds for all tests."""

from hypothesis import settings

# How long an example takes is the machine's affair: it may be busy with a lab.
settings.register_profile("ours", deadline=None, print_blob=True)
settings.load_profile("ours")
