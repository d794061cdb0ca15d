# SPDX-License-Identifier: Apache-2.0
"""What must be right before a back end starts, each fault with its cure."""

import contextlib
import dataclasses
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from cinder.volume import driver
from cinder.volume.drivers import lvm
from oslo_concurrency import processutils

from taikun_cinder import opts, portals, volume_groups
from taikun_cinder.exception import BackendRefused

#: LIO itself, its back end for block devices, and its iSCSI.
MODULES = ("target_core_mod", "target_core_iblock", "iscsi_target_mod")

_CONFIGFS = "/sys/kernel/config"

_ADDRESSES = {
    "target_ip_address": "one IPv4 or IPv6 address of this node that the hosts reach",
    "target_secondary_ip_addresses": "further addresses of this node, each once and "
    "separated by commas, or leave it out",
}


@dataclasses.dataclass(frozen=True)
class Problem:
    """What is wrong, and what to do about it."""

    fault: str
    cure: str


@dataclasses.dataclass(frozen=True)
class Node:
    """Where the running kernel tells about itself."""

    proc: Path = Path("/proc")
    sys: Path = Path("/sys")
    modules: Path = Path("/lib/modules")

    @property
    def release(self) -> str:
        """The version of the running kernel, as ``uname -r`` gives it."""
        return (self.proc / "sys/kernel/osrelease").read_text().strip()


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
    wanted = {
        "target_helper": ("lioadm", "this driver exports by LIO"),
        "target_protocol": ("iscsi", "this driver speaks iSCSI over TCP only"),
        "lvm_share_target": (False, "each volume has a target of its own"),
    }
    for option, (value, reason) in wanted.items():
        found = configuration.safe_get(option)
        if found != value:
            yield Problem(
                f"{option} is {found}, and {reason}",
                f"Set {option} = {value} in section [{_section(configuration)}] of "
                "cinder.conf and restart cinder-volume.",
            )
    for one in opts.BACKEND_OPTS:
        try:
            getattr(configuration, one.name)
        except ValueError as error:  # oslo.config's, which tells the range
            yield Problem(
                str(error),
                f"Set {one.name} in section [{_section(configuration)}] of cinder.conf "
                f"to a value that it may have, or leave it out ({one.default}), and "
                "restart cinder-volume.",
            )
    for option, fault in portals.faults(configuration):
        yield Problem(
            fault,
            f"Set {option} in section [{_section(configuration)}] of cinder.conf to "
            f"{_ADDRESSES[option]}, and restart cinder-volume.",
        )


def _node(
    configuration: Any, node: Node, groups: Callable[[Any], Sequence[str]]
) -> Iterator[Problem]:
    yield from _volume_group(configuration, groups)
    yield from _configfs(node)
    yield from _state(configuration)
    for module in MODULES:
        yield from _module(module, node)


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


def _configfs(node: Node) -> Iterator[Problem]:
    mounts = (node.proc / "mounts").read_text().splitlines()
    if not any(mount.split()[1:3] == [_CONFIGFS, "configfs"] for mount in mounts):
        yield Problem(
            f"configfs is not mounted at {_CONFIGFS}, so LIO cannot be set up",
            f"Mount it with systemctl start sys-kernel-config.mount, or with mount -t "
            f"configfs configfs {_CONFIGFS}.",
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
            "Give the folder to the user of cinder-volume, with room on its disk, or "
            "set the option to another one.",
        )


def _module(name: str, node: Node) -> Iterator[Problem]:
    if (node.sys / "module" / name).exists() or name in _available(node):
        return
    yield Problem(
        f"The running kernel {node.release} has no module {name}: it is not loaded, "
        f"and {node.modules / node.release} does not have it",
        f"Install the kernel's package with the LIO modules for {node.release}, or "
        f"boot a kernel that has them; in a container, load it on the host with "
        f"modprobe {name}.",
    )


def _available(node: Node) -> set[str]:
    """Name the modules that can be loaded, or are part of the kernel itself."""
    names = set()
    for index in ("modules.dep", "modules.builtin"):
        with contextlib.suppress(FileNotFoundError):
            for line in (node.modules / node.release / index).read_text().splitlines():
                file = Path(line.partition(":")[0]).name
                names.add(file.partition(".ko")[0].replace("-", "_"))
    return names
