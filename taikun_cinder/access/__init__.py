# SPDX-License-Identifier: Apache-2.0
"""Who may reach a volume: pure decisions, without Cinder, LIO or a clock."""
