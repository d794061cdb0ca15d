# SPDX-License-Identifier: Apache-2.0
"""The back ends of this node that have our driver, as cinder.conf says."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from cinder.volume import configuration, driver, manager
from cinder.volume.drivers import lvm
from oslo_config import cfg

from taikun_cinder import opts, targets, volume_groups
from taikun_cinder.records import Records
from taikun_cinder.targets.base import Target

#: The ``volume_driver`` of a back end of ours.
DRIVER = "taikun_cinder.driver.MultiattachLVMDriver"


@dataclasses.dataclass(frozen=True)
class Backend:
    """A back end of this node.

    Attributes:
        group: its volume group.
        target: what exports its volumes.
        records: of its volumes; back ends may share a folder of them.
    """

    group: volume_groups.Group
    target: Target
    records: Records


def enabled() -> Iterator[Backend]:
    """Give those that ``enabled_backends`` names."""
    for name in cfg.CONF.enabled_backends or ():
        section = configuration.Configuration(
            manager.volume_backend_opts, config_group=name
        )
        for options in (driver.volume_opts, lvm.volume_opts, opts.BACKEND_OPTS):
            section.append_config_values(options)
        if section.volume_driver == DRIVER:
            yield Backend(
                volume_groups.Group.of(section),
                targets.of(section),
                Records(Path(section.taikun_state_path)),
            )
