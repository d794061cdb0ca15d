# SPDX-License-Identifier: Apache-2.0
"""Cinder's own database layer, wherever a release keeps it.

Cinder 29 moved it up from ``cinder.db.sqlalchemy``. Only ``database`` uses it.
"""

try:
    from cinder.db import api, models
except ImportError:
    from cinder.db.sqlalchemy import api, models

__all__ = ("api", "models")
