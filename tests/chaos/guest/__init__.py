# SPDX-License-Identifier: Apache-2.0
"""What runs on the nodes in a run of chaos."""
