# SPDX-License-Identifier: Apache-2.0
"""What a back end tells of itself beside its log: metrics, and reports."""
