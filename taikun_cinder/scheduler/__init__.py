# SPDX-License-Identifier: Apache-2.0
"""The part that runs in cinder-scheduler."""
