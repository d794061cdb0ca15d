# SPDX-License-Identifier: Apache-2.0
"""Which hosts share which volumes: as text, as a graph, and as a page to look at."""
