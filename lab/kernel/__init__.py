# SPDX-License-Identifier: Apache-2.0
"""Linux kernels that run as processes (User-Mode Linux)."""
