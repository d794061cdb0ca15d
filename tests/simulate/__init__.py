# SPDX-License-Identifier: Apache-2.0
"""A simulation that tries to break the driver; doc/source/contributor tells of it."""
