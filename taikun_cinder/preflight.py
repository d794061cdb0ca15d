# SPDX-License-Identifier: Apache-2.0
"""The checks before a back end starts, each fault with its cure.

What nothing can be exported without keeps the back end from starting. The rest is a
warning, and all of it is told at once.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from oslo_concurrency import processutils
from oslo_log import log as logging

from taikun_cinder import (
    contents,
    extra_specs,
    option_faults,
    portals,
    state_folder,
    targets,
    volume_groups,
)
from taikun_cinder.access.model import Portal
from taikun_cinder.access.rules import Guard
from taikun_cinder.exception import BackendRefused
from taikun_cinder.monitoring import textfile
from taikun_cinder.node import Node, Problem
from taikun_cinder.records import Records
from taikun_cinder.targets.looks import Place
from taikun_cinder.volume_groups import Group, Hidden

LOG = logging.getLogger(__name__)

_LVM = ("volume_group", "lvm_conf_file", "lvm_suppress_fd_warnings")
_OURS = ("target_prefix", "volume_group", "taikun_state_path")
_PORTALS = (
    "target_ip_address",
    "target_secondary_ip_addresses",
    "target_port",
    "taikun_floating_addresses",
)

_GUARD = extra_specs.FILESYSTEM_GUARD.option or ""


def refuse_configuration(configuration: Any, node: Node) -> None:
    """Refuse options that no repair of the node could make good.

    If there are any, the node is looked at too, so that one start tells it all.

    Raises:
        BackendRefused: with all problems.
    """
    # The driver's constructor adds the options to the back end's section, too late.
    option_faults.register(configuration)
    problems = list(option_faults.problems(configuration))
    if not all(problem.tolerable for problem in problems):
        _judge(configuration, [*problems, *of_node(configuration, node)])


def refuse_node(
    configuration: Any,
    node: Node,
    groups: Callable[[Any], Sequence[str]] = volume_groups.names,
) -> None:
    """Refuse a node that could not serve an export, and warn of what it lacks else.

    Raises:
        BackendRefused: with all problems.
    """
    option_faults.register(configuration)
    options = option_faults.problems(configuration)
    _judge(configuration, [*options, *of_node(configuration, node, groups)])


def _judge(configuration: Any, problems: Iterable[Problem]) -> None:
    by_kind: dict[bool, list[Problem]] = {True: [], False: []}
    for problem in problems:
        by_kind[problem.tolerable].append(problem)
    refusals, warnings = by_kind[False], by_kind[True]
    section = option_faults.section(configuration)
    if warnings:
        LOG.warning(
            "Back end [%(backend)s] has %(count)d thing(s) that should be put right, "
            "though it can do without:%(problems)s",
            {"backend": section, "count": len(warnings), "problems": _listed(warnings)},
        )
    if refusals:
        raise BackendRefused(
            backend=section, count=len(refusals), problems=_listed(refusals)
        )


def _listed(problems: Iterable[Problem]) -> str:
    return "".join(
        f"\n {number}. {problem.fault}. {problem.cure}"
        for number, problem in enumerate(problems, start=1)
    )


def of_node(
    configuration: Any,
    node: Node,
    groups: Callable[[Any], Sequence[str]] = volume_groups.names,
) -> Iterator[Problem]:
    """Tell what is wrong with the node, as far as the options can be read."""
    if option_faults.are_readable(configuration, *_LVM):
        yield from of_volume_group(configuration, groups)
    found = list(of_targets(configuration, node))
    yield from found
    # Without the privileged process nobody can look.
    if all(problem.tolerable for problem in found):
        yield from of_guard(configuration)
    if option_faults.are_readable(configuration, "taikun_state_path"):
        folder = Path(configuration.taikun_state_path)
        yield from state_folder.problems(folder, node)
    if not option_faults.unreadable(configuration, "taikun_metrics_folder"):
        yield from textfile.problems(configuration.taikun_metrics_folder, node)


def has_guard(configuration: Any) -> bool:
    """Say whether a back end wants volumes to be looked at before they are shared."""
    if not option_faults.are_readable(configuration, _GUARD):
        return False
    return Guard(getattr(configuration, _GUARD)) is not Guard.OFF


def of_guard(configuration: Any) -> Iterator[Problem]:
    """Tell why volumes cannot be looked at, if the back end wants them to be."""
    if has_guard(configuration) and (lack := contents.lack()):
        yield Problem(
            f"{_GUARD} is {getattr(configuration, _GUARD)}, and what is on a volume "
            f"cannot be looked at: {lack}",
            "Put that right. Until then second servers are not let in to write where "
            "the guard is ro or deny, and unseen where it is warn.",
            tolerable=True,
        )


def of_targets(configuration: Any, node: Node) -> Iterator[Problem]:
    """Tell what keeps the node from exporting."""
    chosen = targets.kind_of(configuration)
    place = place_of(configuration, node)
    for kind in [chosen] if chosen else targets.all_kinds():
        yield from kind.problems(node, place.portals, place.prefixes, place.group)
    yield from of_addresses(configuration, node)


def place_of(configuration: Any, node: Node) -> Place:
    """Give where the targets are to be, as far as the options can be read."""
    where = tuple(portal for _, portal in _portals(configuration))
    if not option_faults.are_readable(configuration, *_OURS):
        return Place(node, where)
    group = configuration.volume_group
    recorded = Records(Path(configuration.taikun_state_path)).prefixes(group)
    return Place(node, where, (configuration.target_prefix, *sorted(recorded)), group)


def of_addresses(configuration: Any, node: Node) -> Iterator[Problem]:
    """Tell of addresses of targets that the node does not have."""
    for option, portal in _portals(configuration):
        if not (
            portals.floats(configuration, portal) or node.network.has(portal.address)
        ):
            yield _absent(configuration, option, portal)


def _absent(configuration: Any, option: str, portal: Portal) -> Problem:
    return Problem(
        f"{option} has {portal.address}, which is no address of this node now. Targets "
        "listen there all the same, and no host reaches them",
        f"Set {option} in section [{option_faults.section(configuration)}] of "
        "cinder.conf to an address of this node (ip address shows them). If it is one "
        "that moves between nodes, name it in taikun_floating_addresses.",
        tolerable=True,
    )


def _portals(configuration: Any) -> list[tuple[str, Portal]]:
    """Give the portals with their options; none if there is a fault in them."""
    if not option_faults.are_readable(configuration, *_PORTALS):
        return []
    try:
        return list(portals.named(configuration))
    except ValueError:
        return []


def of_volume_group(
    configuration: Any,
    groups: Callable[[Any], Sequence[str]] = volume_groups.names,
) -> Iterator[Problem]:
    """Tell of a volume group that LVM does not show, and why it does not."""
    name = configuration.volume_group
    try:
        found = groups(configuration)
        hidden = None if name in found else volume_groups.hidden(name)
    except (processutils.ProcessExecutionError, OSError) as error:
        yield Problem(
            f"The node's volume groups cannot be listed: {error}",
            "Install lvm2, and let cinder-rootwrap run vgs (rootwrap.d/volume.filters "
            "of Cinder).",
        )
        return
    if name not in found:
        yield _hidden(name, hidden) if hidden else _missing(configuration, found)
    elif option_faults.are_readable(configuration, "taikun_state_path"):
        yield from _elsewhere(configuration)


def _elsewhere(configuration: Any) -> Iterator[Problem]:
    """Tell of a group that is shared with other nodes, and not started on this one."""
    group = Group.of(configuration)
    path = Path(configuration.taikun_state_path)
    with contextlib.suppress(processutils.ProcessExecutionError, OSError):
        if absence := volume_groups.not_started(group, path):
            yield Problem(*absence)


def _missing(configuration: Any, found: Sequence[str]) -> Problem:
    name, section = configuration.volume_group, option_faults.section(configuration)
    return Problem(
        f"There is no volume group {name} (option volume_group of section "
        f"[{section}]); found: {', '.join(found) or 'none'}",
        "Set volume_group to one of those found. If it should be there, see that its "
        "devices are (lsblk, pvs), and make nothing new on them: vgcreate would "
        f"destroy it. Only if it never was, create it with vgcreate {name} DEVICE, on "
        "a device in which wipefs DEVICE finds nothing.",
    )


def _hidden(name: str, there: Hidden) -> Problem:
    devices = " and ".join(there.devices)
    keep = f"Do not run vgcreate or pvcreate on {devices}, which destroys it."
    if there.by_configuration:
        return Problem(
            f"The volume group {name} is there, on {devices}, and LVM hides it by its "
            "devices file, or by filter or global_filter of lvm.conf",
            f"{keep} If LVM has a devices file (lvmdevices shows it), run "
            f"vgimportdevices {name}. If not, let the filters accept {devices}.",
        )
    if there.lock:
        return Problem(
            f"The volume group {name} is there, on {devices}, and is shared by "
            f"{there.lock}, which this node does not take part in",
            f"{keep} Start lvmlockd, with use_lvmlockd = 1 in lvm.conf, and run "
            f"vgchange --lockstart {name}.",
        )
    return Problem(
        f"The volume group {name} is there, on {devices}, and belongs to another node "
        f"(system ID {there.system})",
        f"{keep} If that node will not use it any more, run vgchange --systemid with "
        "this node's system ID (lvm systemid), and --config "
        f"'local/extra_system_ids=[\"{there.system}\"]'.",
    )
