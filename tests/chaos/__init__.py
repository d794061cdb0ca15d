# SPDX-License-Identifier: Apache-2.0
"""Chaos on real kernels, and a checker of what the hosts wrote and read meanwhile."""
