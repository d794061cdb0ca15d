# SPDX-License-Identifier: Apache-2.0
"""A pytest plugin: the tests in the mode that cinder-volume runs in."""

from lab.guest import patched

patched.patch()
