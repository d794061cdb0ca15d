# SPDX-License-Identifier: Apache-2.0
"""Decides who may reach a volume, purely: without Cinder, a target or a clock."""
