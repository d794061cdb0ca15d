# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a back end's volume group on a node, each fault with its cure."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from oslo_concurrency import processutils

from taikun_cinder import option_faults, volume_groups
from taikun_cinder.node import Problem
from taikun_cinder.volume_groups import Group, Hidden


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
