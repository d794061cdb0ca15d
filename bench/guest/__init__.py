# SPDX-License-Identifier: Apache-2.0
"""What of the measurements runs inside a node."""
