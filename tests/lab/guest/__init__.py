# SPDX-License-Identifier: Apache-2.0
"""What of the tests runs inside a node: what they break there, and what they look at.

A node runs in the project's folder, so it finds these modules as it finds the lab's.
"""
