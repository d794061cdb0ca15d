# SPDX-License-Identifier: Apache-2.0
"""The part of the tests that runs inside a node, to break things and to look at them.

A node runs in the project's folder, so it finds these modules as it finds the lab's.
"""
