# SPDX-License-Identifier: Apache-2.0
"""The targets that volumes are exported by, behind one contract."""
