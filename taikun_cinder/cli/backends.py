# SPDX-License-Identifier: Apache-2.0
"""The back ends of this node that have our driver, as cinder.conf says.

Hosts wait for the commands that need no more than this, ``restore`` and ``unexport``.
So nothing here may import Cinder's database or drivers, which takes seconds; what needs
the database is in ``compared``.
"""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from oslo_concurrency import processutils
from oslo_config import cfg

from taikun_cinder import cinder_options, option_faults, opts, targets, volume_groups
from taikun_cinder.exception import ActivationRefused
from taikun_cinder.layout import Layout
from taikun_cinder.records import Records
from taikun_cinder.targets.base import Target

#: The ``volume_driver`` of a back end of ours.
DRIVER = "taikun_cinder.driver.MultiattachLVMDriver"

#: As cinder.cmd.volume has it, which no other program may import.
_HOST = cfg.StrOpt("backend_host")

#: The options without which nothing is known about a back end.
_NEEDED = {"volume_group", "taikun_state_path", "lvm_conf_file"}


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
        return host_of(self.name)

    @functools.cached_property
    def layout(self) -> Layout:
        """The layout of its exports.

        Raises:
            ValueError: an option cannot be read, or an address is not an IP address.
        """
        return Layout.of(self.options)

    def refuse_elsewhere(self) -> None:
        """Refuse a back end whose volume group nodes share, where it is not started.

        Raises:
            ActivationRefused: it is one.
        """
        absence = None
        # A verb must not need LVM that is out of order.
        with contextlib.suppress(processutils.ProcessExecutionError, OSError):
            absence = volume_groups.not_started(self.group, self.records.folder)
        if absence:
            raise ActivationRefused(*absence)


#: A kind of back end.
B = TypeVar("B", bound=Backend)


def host_of(section: str) -> str:
    """Give a back end's name in Cinder's database, as ``node@backend``.

    Args:
        section: its own, whatever its driver is.
    """
    # cinder-volume does not look for it into [backend_defaults].
    cfg.CONF.register_opt(_HOST, group=section)
    return f"{cfg.CONF[section].backend_host or cfg.CONF.host}@{section}"


def enabled(kind: type[B], complain: Callable[[str], object]) -> Iterator[B]:
    """Give the back ends that ``enabled_backends`` names.

    Args:
        kind: as what: a ``Backend``, or what knows more of it.
        complain: takes a line on each that cannot be told whether it is ours, or how it
            is; the others do not suffer from it.
    """
    cinder_options.register()
    for name in _names(complain):
        section = cinder_options.section(name)
        section.append_config_values(opts.BACKEND_OPTS)
        if fault := option_faults.unreadable(section, "volume_driver"):
            complain(f"back end [{name}]: {fault}")
        elif section.volume_driver == DRIVER:
            faults = option_faults.unreadable_ones(section)
            for fault in faults.values():
                complain(f"back end [{name}]: {fault}")
            if not faults.keys() & _NEEDED:
                yield _backend(kind, name, section)


def _names(complain: Callable[[str], object]) -> Iterator[str]:
    known = {section.strip() for section in cfg.CONF.list_all_sections()}
    for name in cfg.CONF.enabled_backends or ():
        if not name:
            complain(
                "enabled_backends of section [DEFAULT] of cinder.conf has an empty "
                "name; take out the comma that is too many"
            )
        elif name not in known:
            complain(
                f"enabled_backends of section [DEFAULT] of cinder.conf names {name}, "
                f"and there is no section [{name}]"
            )
        else:
            yield name


def _backend(kind: type[B], name: str, section: Any) -> B:
    return kind(
        name,
        section,
        volume_groups.Group.of(section),
        # Only when it is needed: one wrong section stops no other back end.
        functools.partial(targets.of, section),
        Records(Path(section.taikun_state_path)),
    )
