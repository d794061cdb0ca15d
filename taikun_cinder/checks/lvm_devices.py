# SPDX-License-Identifier: Apache-2.0
"""The checks of what LVM looks at: never into volumes, nor into Cinder's own disks."""

import re
from collections.abc import Iterable, Iterator

from taikun_cinder.checks.check import BackendCheck
from taikun_cinder.checks.facts import Facts
from taikun_cinder.checks.findings import Finding, failed, ok, warning
from taikun_cinder.checks.lvm_report import Lvm
from taikun_cinder.cli.backends import Backend

#: A disk that comes over iSCSI has a name like this; no disk of the node's should.
_FOREIGN = "/dev/sdzzz"

_CURE = (
    "Let LVM see the disks of this node's own volume groups only: by its devices file "
    "(use_devicesfile = 1 in lvm.conf, then vgimportdevices --all), or by "
    "global_filter "
    'in lvm.conf, such as [ "a|^/dev/sdb$|", "r|.*|" ]. Name the disks of the system '
    "itself, too, and try a filter with vgs --config first."
)


def _inside(facts: Facts, backend: Backend) -> Iterator[Finding]:
    lvm, name = facts.lvm(backend).get(), backend.options.volume_group
    inside = [row for row in lvm.devices if _is_volume(row["pv_name"], name)]
    foreign = {row["vg_name"]: row for row in inside if row["vg_name"]}
    if foreign:
        group, row = min(foreign.items())
        yield failed(
            f"LVM looks into the volumes of {name}, and sees volume groups of servers "
            f"in them, such as {group} in {row['pv_name']}. It may activate them under "
            "the servers, and takes two of one name for one",
            f"Run vgchange --activate n {group}, and the same for each. Set scan_lvs "
            f"= 0 in the section devices of lvm.conf. {_CURE}",
        )
    elif inside or _scans(lvm, name):
        yield warning(
            f"LVM looks into the volumes of {name} (scan_lvs = 1 in lvm.conf, and no "
            "filter forbids it). It would show, and may activate, what servers make "
            "in them",
            f"Set scan_lvs = 0 in the section devices of lvm.conf. {_CURE}",
        )
    else:
        yield ok(f"LVM does not look into the volumes of {name}")


def _is_volume(path: str, group: str) -> bool:
    mapped = re.escape(group.replace("-", "--"))
    # A second - would be one of another group's name.
    return bool(re.match(f"/dev/({re.escape(group)}/|mapper/{mapped}-(?!-))", path))


def _scans(lvm: Lvm, group: str) -> bool:
    """Say whether LVM would look at a new volume, by its settings."""
    if lvm.settings.get("scan_lvs") != "1" or lvm.devices_file:
        return False
    return not _rejects(lvm, f"/dev/{group}/volume-0")


def _foreign(facts: Facts, backend: Backend) -> Iterator[Finding]:
    lvm = facts.lvm(backend).get()
    if lvm.devices_file:
        yield ok(f"LVM sees the disks in its devices file {lvm.devices_file} only")
    elif _rejects(lvm, _FOREIGN):
        yield ok("LVM's filter leaves other disks out")
    else:
        yield warning(
            "LVM looks into every disk that Cinder attaches to this node (for a "
            "backup, an image, a migration). What a server has made of it may be "
            "activated, and then the disk cannot be detached",
            _CURE,
        )


def _rejects(lvm: Lvm, path: str) -> bool:
    filters = ("filter", "global_filter")
    return any(_rejected(lvm.patterns(name), path) for name in filters)


def _rejected(patterns: Iterable[str], path: str) -> bool:
    """Say whether a filter of LVM's rejects a path: the first pattern that fits counts.

    Args:
        patterns: such as ``a|^/dev/sdb$|``: a to accept or r to reject, and a regular
            expression between two equal characters.
        path: of a device.
    """
    for pattern in patterns:
        try:
            if re.search(pattern[2:-1], path):
                return pattern.startswith("r")
        except re.error:
            return False  # one that cannot be read here is given the benefit of doubt
    return False


def _conf(facts: Facts, backend: Backend) -> Iterator[Finding]:
    lvm, name = facts.lvm(backend).get(), backend.options.volume_group
    file = backend.options.lvm_conf_file
    if not lvm.is_of_cinders_own:
        yield ok("Cinder's LVM commands all go by the node's lvm.conf")
    elif name in lvm.groups and name not in lvm.nodes_own_groups():
        yield failed(
            f"LVM shows {name} by {file} (option lvm_conf_file), and hides it by the "
            "node's own lvm.conf, by which Cinder runs lvchange and lvremove: no "
            "volume can be activated or deleted",
            f"Let /etc/lvm/lvm.conf and the node's devices file accept the disks of "
            f"{name}, too.",
        )
    else:
        yield ok(f"LVM shows the same by {file} and by the node's lvm.conf")


CHECKS = (
    BackendCheck(
        "lvm-inside",
        "LVM does not look into the volumes, where servers have volume groups of their "
        "own (``scan_lvs``).",
        _inside,
    ),
    BackendCheck(
        "lvm-foreign",
        "LVM leaves disks alone that Cinder attaches to the node itself.",
        _foreign,
    ),
    BackendCheck(
        "lvm-conf",
        "An ``lvm_conf_file`` of Cinder's own and the node's ``lvm.conf`` agree on the "
        "volume group: some of Cinder's commands go by the one, some by the other.",
        _conf,
        seconds=60,
    ),
)
