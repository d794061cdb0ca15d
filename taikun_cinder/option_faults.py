# SPDX-License-Identifier: Apache-2.0
"""The faults of a back end's options, each with its cure."""

from collections.abc import Iterator
from typing import Any

from oslo_config import cfg

from taikun_cinder import cinder_options, opts, portals, targets
from taikun_cinder.node import Problem

_ADDRESSES = {
    "target_ip_address": "one IPv4 or IPv6 address of this node that the hosts reach",
    "target_secondary_ip_addresses": "further addresses of this node, each once and "
    "separated by commas, or leave it out",
    "taikun_floating_addresses": "some of the addresses of target_ip_address and "
    "target_secondary_ip_addresses, or leave it out",
}

#: Of Cinder's options, those whose faults are told with what they may be.
_BY_KIND = ("target_helper", "target_protocol")


def section(configuration: Any) -> str:
    """Give the name of a back end's section of cinder.conf."""
    return configuration.config_group or "DEFAULT"


def unreadable(configuration: Any, option: str) -> str | None:
    """Give oslo.config's words on a value that cannot be read; None if it can."""
    try:
        getattr(configuration, option)
    except (ValueError, cfg.Error) as error:
        said = " ".join(str(error).split())
        return said if option in said else f"{option} cannot be read: {said}"
    return None


def unreadable_ones(configuration: Any) -> dict[str, str]:
    """Give :func:`unreadable` of each option that the driver reads by itself."""
    read = (*cinder_options.BACKEND_OPTS, *opts.BACKEND_OPTS)
    names = (option.name for option in read if option.name not in _BY_KIND)
    errors = {name: unreadable(configuration, name) for name in names}
    return {name: error for name, error in errors.items() if error}


def are_readable(configuration: Any, *options: str) -> bool:
    """Say whether all these options have values that can be read."""
    return not any(unreadable(configuration, option) for option in options)


def problems(configuration: Any) -> Iterator[Problem]:
    """Tell what is wrong with the options, whatever the node is like."""
    yield from _target(configuration)
    defaults = {option.name: option.default for option in opts.BACKEND_OPTS}
    errors = unreadable_ones(configuration)
    for name, error in errors.items():
        default = f" ({defaults[name]})" if name in defaults else ""
        yield Problem(
            error,
            f"Set {name} in section [{section(configuration)}] of cinder.conf to a "
            f"value that it may have, or leave it out{default}, and restart "
            "cinder-volume.",
        )
    if "lvm_share_target" not in errors and configuration.lvm_share_target:
        yield Problem(
            "lvm_share_target is True, and each volume has a target of its own",
            _set(configuration, "lvm_share_target", False),
        )
    if not any(name in errors for name in (*_ADDRESSES, "target_port")):
        yield from _portals(configuration)
    if "backup_use_temp_snapshot" not in errors:
        yield from _backup(configuration)


def _portals(configuration: Any) -> Iterator[Problem]:
    for name, fault in portals.faults(configuration):
        yield Problem(
            fault,
            f"Set {name} in section [{section(configuration)}] of cinder.conf to "
            f"{_ADDRESSES[name]}, and restart cinder-volume.",
        )


def _backup(configuration: Any) -> Iterator[Problem]:
    if configuration.backup_use_temp_snapshot:
        yield Problem(
            "backup_use_temp_snapshot is True, and Cinder's LVM driver exports no "
            "snapshots. A volume in use is backed up by a temporary volume instead, "
            "which takes as much room as it",
            _set(configuration, "backup_use_temp_snapshot", False),
            tolerable=True,
        )


def _target(configuration: Any) -> Iterator[Problem]:
    """Refuse options that name no kind of target, each with what it may be."""
    helpers = sorted({helper for helper, _ in targets.KINDS})
    known = {
        "target_helper": helpers,
        "target_protocol": sorted({protocol for _, protocol in targets.KINDS}),
    }
    wrong = [
        Problem(error, _set(configuration, option, " or ".join(values)))
        for option, values in known.items()
        if (error := unreadable(configuration, option))
    ]
    if wrong:
        yield from wrong
        return
    helper, protocol = configuration.target_helper, configuration.target_protocol
    if helper not in helpers:
        yield Problem(
            f"target_helper is {helper}, and this driver exports by "
            f"{' or '.join(helpers)}",
            _set(configuration, "target_helper", " or ".join(helpers)),
        )
        helper = helpers[0]
    protocols = sorted(spoken for by, spoken in targets.KINDS if by == helper)
    if protocol not in protocols:
        yield Problem(
            f"target_protocol is {protocol}, and by {helper} this driver speaks "
            f"{' or '.join(protocols)} only",
            _set(configuration, "target_protocol", " or ".join(protocols)),
        )


def _set(configuration: Any, option: str, value: object) -> str:
    return (
        f"Set {option} = {value} in section [{section(configuration)}] of cinder.conf "
        "and restart cinder-volume."
    )
