# SPDX-License-Identifier: Apache-2.0
"""Every option of the project, for the drivers and for oslo-config-generator."""

from cinder.volume import configuration
from oslo_config import cfg

#: Options of a back end's section. There are none of our own yet: what the driver
#: needs, Cinder's LVM driver has options for.
BACKEND_OPTS: list[cfg.Opt] = []


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """List the options for oslo-config-generator: each section with its options."""
    return [(configuration.SHARED_CONF_GROUP, BACKEND_OPTS)]
