# SPDX-License-Identifier: Apache-2.0
"""Stories and laws, on real kernels."""
