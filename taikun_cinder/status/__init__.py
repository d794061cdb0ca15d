# SPDX-License-Identifier: Apache-2.0
"""The command ``taikun-cinder-status``: whether an upgrade can go ahead."""

import warnings

# Cinder's own affair, and no operator's. It warns when it is imported.
warnings.filterwarnings("ignore", "(?s).*Eventlet is deprecated")
