# SPDX-License-Identifier: Apache-2.0
"""The checks before a back end starts, each fault with its cure."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from cinder.volume import driver
from cinder.volume.drivers import lvm
from oslo_concurrency import processutils

from taikun_cinder import opts, portals, records, targets, volume_groups
from taikun_cinder.exception import BackendRefused
from taikun_cinder.node import Node, Problem

_ADDRESSES = {
    "target_ip_address": "one IPv4 or IPv6 address of this node that the hosts reach",
    "target_secondary_ip_addresses": "further addresses of this node, each once and "
    "separated by commas, or leave it out",
}


def refuse_configuration(configuration: Any, node: Node) -> None:
    """Refuse options that no repair of the node could make good.

    If there are any, the node is looked at too, so that one start tells it all.

    Raises:
        BackendRefused: with all problems.
    """
    # The driver's constructor adds the options to the back end's section, too late.
    configuration.append_config_values(driver.volume_opts)
    configuration.append_config_values(lvm.volume_opts)
    configuration.append_config_values(opts.BACKEND_OPTS)
    problems = list(_configuration(configuration))
    if problems:
        _refuse(
            configuration, [*problems, *_node(configuration, node, volume_groups.names)]
        )


def refuse_node(
    configuration: Any,
    node: Node,
    groups: Callable[[Any], Sequence[str]] = volume_groups.names,
) -> None:
    """Refuse a node that could not serve an export.

    Raises:
        BackendRefused: with all problems.
    """
    problems = list(_node(configuration, node, groups))
    if problems:
        _refuse(configuration, problems)


def _refuse(configuration: Any, problems: Sequence[Problem]) -> None:
    lines = (
        f"\n {number}. {problem.fault}. {problem.cure}"
        for number, problem in enumerate(problems, start=1)
    )
    raise BackendRefused(
        backend=_section(configuration), count=len(problems), problems="".join(lines)
    )


def _section(configuration: Any) -> str:
    return configuration.config_group or "DEFAULT"


def _configuration(configuration: Any) -> Iterator[Problem]:
    yield from _target(configuration)
    if configuration.safe_get("lvm_share_target"):
        yield Problem(
            "lvm_share_target is True, and each volume has a target of its own",
            _set(configuration, "lvm_share_target", False),
        )
    for option in opts.BACKEND_OPTS:
        if error := _error_of(configuration, option.name):
            yield Problem(
                error,
                f"Set {option.name} in section [{_section(configuration)}] of "
                f"cinder.conf to a value that it may have, or leave it out "
                f"({option.default}), and restart cinder-volume.",
            )
    for name, fault in portals.faults(configuration):
        yield Problem(
            fault,
            f"Set {name} in section [{_section(configuration)}] of cinder.conf to "
            f"{_ADDRESSES[name]}, and restart cinder-volume.",
        )


def _target(configuration: Any) -> Iterator[Problem]:
    """Refuse options that name no kind of target, each with what it may be."""
    helpers = sorted({helper for helper, _ in targets.KINDS})
    known = {
        "target_helper": helpers,
        "target_protocol": sorted({protocol for _, protocol in targets.KINDS}),
    }
    unreadable = [
        Problem(error, _set(configuration, option, " or ".join(values)))
        for option, values in known.items()
        if (error := _error_of(configuration, option))
    ]
    if unreadable:
        yield from unreadable
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


def _error_of(configuration: Any, option: str) -> str | None:
    """Give oslo.config's words on a value that an option may not have."""
    try:
        getattr(configuration, option)
    except ValueError as error:
        return str(error)
    return None


def _set(configuration: Any, option: str, value: object) -> str:
    return (
        f"Set {option} = {value} in section [{_section(configuration)}] of cinder.conf "
        "and restart cinder-volume."
    )


def _node(
    configuration: Any, node: Node, groups: Callable[[Any], Sequence[str]]
) -> Iterator[Problem]:
    yield from _volume_group(configuration, groups)
    chosen = targets.kind_of(configuration)
    for kind in [chosen] if chosen else targets.all_kinds():
        yield from kind.problems(node)
    yield from _state(configuration)


def _volume_group(
    configuration: Any, groups: Callable[[Any], Sequence[str]]
) -> Iterator[Problem]:
    name = configuration.volume_group
    try:
        found = groups(configuration)
    except (processutils.ProcessExecutionError, OSError) as error:
        yield Problem(
            f"The node's volume groups cannot be listed: {error}",
            "Install lvm2, and let cinder-rootwrap run vgs (rootwrap.d/volume.filters "
            "of Cinder).",
        )
        return
    if name not in found:
        yield Problem(
            f"There is no volume group {name} (option volume_group of section "
            f"[{_section(configuration)}]); found: {', '.join(found) or 'none'}",
            f"Create it with vgcreate {name} DEVICE, or set volume_group to one of "
            "those found.",
        )


def _state(configuration: Any) -> Iterator[Problem]:
    folder = Path(configuration.taikun_state_path)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        yield Problem(
            f"The driver cannot write to {folder} (option taikun_state_path): "
            f"{error.strerror}",
            records.CURE,
        )
