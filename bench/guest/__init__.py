# SPDX-License-Identifier: Apache-2.0
"""The part of the measurements that runs inside a node."""
