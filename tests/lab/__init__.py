# SPDX-License-Identifier: Apache-2.0
"""Stories and laws, told to real kernels."""
