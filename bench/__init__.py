# SPDX-License-Identifier: Apache-2.0
"""Measurements, side by side with Cinder's own code in one run."""
