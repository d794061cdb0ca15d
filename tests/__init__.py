# SPDX-License-Identifier: Apache-2.0
"""The tests: unit (no kernel), lab (real kernels)."""
