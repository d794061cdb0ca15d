# SPDX-License-Identifier: Apache-2.0
"""Cinder's own unit tests, on this driver instead of the in-tree one."""
