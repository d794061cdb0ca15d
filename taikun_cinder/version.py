# SPDX-License-Identifier: Apache-2.0
"""The version of this package: setup.cfg says it, and pbr gives it to all else."""

from pbr import version

_INFO = version.VersionInfo("taikun-cinder")


def text() -> str:
    """Give the version, as ``0.2.0``, without what tells one development state."""
    return str(_INFO.version_string())
