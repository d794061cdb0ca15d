# SPDX-License-Identifier: Apache-2.0
"""The attachments API of any cloud: every state and transition, through REST alone."""
