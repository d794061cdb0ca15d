# SPDX-License-Identifier: Apache-2.0
"""The command ``taikun-cinder-status``: whether an upgrade can go ahead."""
