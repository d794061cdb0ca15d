# SPDX-License-Identifier: Apache-2.0
"""The decision who may reach a volume, without Cinder, a target or a clock."""
