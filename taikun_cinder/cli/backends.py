# SPDX-License-Identifier: Apache-2.0
"""The back ends of this node that have our driver, as cinder.conf says."""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cinder.volume import configuration, driver, manager
from cinder.volume.drivers import lvm
from oslo_config import cfg

from taikun_cinder import database, opts, targets, volume_groups
from taikun_cinder.exports import Exports
from taikun_cinder.layout import Layout
from taikun_cinder.reconcile import Reconcile
from taikun_cinder.records import Records
from taikun_cinder.targets.base import Target

#: The ``volume_driver`` of a back end of ours.
DRIVER = "taikun_cinder.driver.MultiattachLVMDriver"

#: As cinder.cmd.volume has it, which no other program may import.
_HOST = cfg.StrOpt("backend_host")


@dataclasses.dataclass(frozen=True)
class Backend:
    """A back end of this node.

    Attributes:
        name: of its section.
        options: its section of cinder.conf.
        group: its volume group.
        make_target: makes what exports its volumes.
        records: of its volumes; back ends may share a folder of them.
    """

    name: str
    options: Any
    group: volume_groups.Group
    make_target: Callable[[], Target]
    records: Records

    @functools.cached_property
    def target(self) -> Target:
        """The target that exports its volumes.

        Raises:
            LookupError: its options name no kind.
        """
        return self.make_target()

    @property
    def host(self) -> str:
        """Its name in Cinder's database, as ``node@backend``."""
        # Not by self.options: cinder-volume does not look into [backend_defaults].
        cfg.CONF.register_opt(_HOST, group=self.name)
        own = cfg.CONF[self.name].backend_host
        return f"{own or cfg.CONF.host}@{self.name}"

    @functools.cached_property
    def exports(self) -> Exports:
        """Its exports; they need Cinder's database, and its COORDINATOR started."""
        return Exports(
            self.target,
            Layout.of(self.options),
            self.records,
            lambda volume: self.group.activate(volume["name"]),
            self.host,
            self.options.taikun_login_patience,
        )

    @functools.cached_property
    def reconcile(self) -> Reconcile:
        """Its reconcile, not started."""
        return Reconcile(
            self.exports,
            lambda: database.volumes_of(self.host),
            lambda: database.attached_volumes(self.host),
            lambda: database.knows_service(self.host),
            self.options.taikun_database_patience,
            self.options.taikun_max_revocations,
        )


def enabled() -> Iterator[Backend]:
    """Give the back ends that ``enabled_backends`` names."""
    for name in cfg.CONF.enabled_backends or ():
        section = configuration.Configuration(
            manager.volume_backend_opts, config_group=name
        )
        for options in (driver.volume_opts, lvm.volume_opts, opts.BACKEND_OPTS):
            section.append_config_values(options)
        if section.volume_driver == DRIVER:
            yield Backend(
                name,
                section,
                volume_groups.Group.of(section),
                # Only when it is needed: one wrong section stops no other back end.
                functools.partial(targets.of, section),
                Records(Path(section.taikun_state_path)),
            )
