# SPDX-License-Identifier: Apache-2.0
"""The operator's command, ``taikun-cinder``."""

import warnings

# Cinder's own affair, and no operator's.
warnings.filterwarnings("ignore", "(?s).*Eventlet is deprecated")
