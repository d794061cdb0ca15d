# SPDX-License-Identifier: Apache-2.0
"""The checks of cinder.conf, beside what a start refuses."""

from collections.abc import Iterator
from importlib import metadata
from typing import Any

from cinder.scheduler import host_manager
from cinder.volume import configuration, driver, manager
from cinder.volume.drivers import lvm
from oslo_config import cfg
from packaging.requirements import Requirement

from taikun_cinder import option_faults, version
from taikun_cinder.checks.check import BackendCheck, NodeCheck
from taikun_cinder.checks.facts import Facts
from taikun_cinder.checks.findings import (
    Finding,
    failed,
    of_problems,
    ok,
    unknown,
    warning,
)
from taikun_cinder.cli import backends
from taikun_cinder.cli.backends import Backend
from taikun_cinder.status import configuration as status_configuration

_FILTER = "TaikunMultiattachFilter"
_FILTERS = "scheduler_default_filters"

#: As cinder.cmd.volume has it, which no other program may import.
_CLUSTER = cfg.StrOpt("cluster")

#: The drivers whose room is that of their volume group.
_BY_GROUP = (backends.DRIVER, "cinder.volume.drivers.lvm.LVMVolumeDriver")

#: What the image cache needs, in [DEFAULT].
_TENANT = ("cinder_internal_tenant_project_id", "cinder_internal_tenant_user_id")


def _versions(_facts: Facts) -> Iterator[Finding]:
    found = [
        finding
        for text in metadata.requires("taikun-cinder") or ()
        for finding in _requirement(Requirement(text))
    ]
    yield from found
    if not found:
        yield ok(f"taikun_cinder {version.text()}, cinder {metadata.version('cinder')}")


def _requirement(wanted: Requirement) -> Iterator[Finding]:
    """Tell of a package that is not there, or in another version than wanted."""
    if wanted.marker and not wanted.marker.evaluate():
        return
    cure = f"Install {wanted} into the Python environment of cinder-volume."
    try:
        there = metadata.version(wanted.name)
    except metadata.PackageNotFoundError:
        yield failed(f"{wanted.name} is not installed", cure)
        return
    if not wanted.specifier.contains(there, prereleases=True):
        yield warning(
            f"{wanted.name} is {there}, and this driver needs {wanted.specifier}", cure
        )


def _unknown(_facts: Facts) -> Iterator[Finding]:
    faults = status_configuration.unknown_options(cfg.CONF).warnings
    for fault in faults:
        yield warning(
            fault[0].upper() + fault[1:],
            "Correct it or take it out, and restart cinder-volume.",
        )
    if not faults:
        yield ok("All options of this driver are known, and where they are read")


def _options(_facts: Facts, backend: Backend) -> Iterator[Finding]:
    yield from of_problems(
        option_faults.problems(backend.options), "All options have values that work"
    )


def _active_active(_facts: Facts) -> Iterator[Finding]:
    cfg.CONF.register_opt(_CLUSTER)
    name = (cfg.CONF.cluster or "").strip()
    if not name:
        yield ok("One service serves a back end at a time")
        return
    yield failed(
        f"cluster is {name} in section [DEFAULT], which means active-active. This "
        "driver does not do that, and neither does Cinder's own LVM driver, so "
        "cinder-volume does not start the back ends",
        "Take cluster out, and restart cinder-volume. A cluster manager such as "
        "Pacemaker can move one service between nodes instead.",
    )


def _shared_group(_facts: Facts, backend: Backend) -> Iterator[Finding]:
    name = backend.options.volume_group
    others = [
        section
        for section in cfg.CONF.enabled_backends or ()
        if section != backend.name and _group_of(section) == name
    ]
    if not others:
        yield ok(f"No other back end of this node is on {name}")
        return
    yield warning(
        f"{name} is the volume group of {', '.join(others)}, too: each tells the "
        "scheduler all of its free room, which is then given out several times",
        "Give each back end a volume group of its own (option volume_group), or enable "
        "one of them only (enabled_backends of section [DEFAULT]).",
    )


def _group_of(section: str) -> str | None:
    """Give the volume group of a back end, if it has one that can be told."""
    options: Any = configuration.Configuration(
        manager.volume_backend_opts, config_group=section
    )
    options.append_config_values(lvm.volume_opts)
    if not option_faults.are_readable(options, "volume_driver", "volume_group"):
        return None
    ours = options.volume_driver in _BY_GROUP
    return str(options.volume_group) if ours else None


def _image_cache(_facts: Facts, backend: Backend) -> Iterator[Finding]:
    backend.options.append_config_values(driver.image_opts)
    wants = [
        option
        for option in ("image_volume_cache_enabled", "image_upload_use_internal_tenant")
        if option_faults.are_readable(backend.options, option)
        and getattr(backend.options, option)
    ]
    missing = [option for option in _TENANT if not getattr(cfg.CONF, option)]
    if not wants:
        yield ok("The image cache is not used")
    elif not missing:
        yield ok("The image cache has its project and user")
    else:
        yield warning(
            f"{' and '.join(wants)} has no effect without {' and '.join(missing)}",
            f"Set {' and '.join(missing)} in section [DEFAULT] of cinder.conf to the "
            "project and the user that cached images belong to, or take "
            f"{' and '.join(wants)} out, and restart cinder-volume.",
        )


def _scheduler_filter(facts: Facts) -> Iterator[Finding]:
    cfg.CONF.register_opts(host_manager.host_manager_opts)
    where = "cinder.conf of the node that cinder-scheduler runs on"
    if _FILTER in getattr(cfg.CONF, _FILTERS):
        yield ok(
            f"{_FILTERS} of this node has {_FILTER}; what counts is {where}, which "
            "needs this package, too"
        )
        return
    cure = (
        f"Add {_FILTER} to {_FILTERS} in section [DEFAULT] of {where}, install this "
        "package there, and restart cinder-scheduler (page Install)."
    )
    idle = [
        f"{option} of [{backend.name}]"
        for backend in facts.backends
        for option in ("taikun_multiattach_only", "taikun_max_multiattach_volumes")
        if option_faults.are_readable(backend.options, option)
        and getattr(backend.options, option)
    ]
    without = f" Without it there is no effect of {', '.join(idle)}." if idle else ""
    location = cfg.CONF.get_location(_FILTERS)
    if location and location.location.is_user_controlled:
        yield warning(
            f"{_FILTERS} in cinder.conf of this node lacks {_FILTER}, so the scheduler "
            "lets wrong requests through that the driver must refuse, if it reads the "
            f"same.{without}",
            cure,
        )
    else:
        yield unknown(
            f"cinder.conf of this node says nothing of {_FILTERS}. If {where} does "
            f"not either, {_FILTER} is not used.{without}",
            cure,
        )


CHECKS = (
    NodeCheck(
        "versions",
        "Cinder, rtslib and the other packages have versions that this driver works "
        "with.",
        _versions,
    ),
    BackendCheck(
        "options", "All options have values that the driver can work with.", _options
    ),
    NodeCheck(
        "unknown-options",
        "No option of this driver is misspelt, renamed, or set where nobody reads it.",
        _unknown,
    ),
    NodeCheck(
        "active-active",
        "``cluster`` is not set: no two services serve one back end at once.",
        _active_active,
    ),
    BackendCheck(
        "shared-group",
        "No other back end of the node is on the same volume group: the scheduler "
        "would give out its room several times.",
        _shared_group,
    ),
    BackendCheck(
        "image-cache",
        "The image cache, if it is used, has a project and a user of its own.",
        _image_cache,
    ),
    NodeCheck(
        "scheduler-filter",
        f"``{_FILTER}`` is among ``{_FILTERS}``. Only the scheduler's own "
        "configuration counts, which may be on another node.",
        _scheduler_filter,
    ),
)
