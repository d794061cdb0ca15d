# SPDX-License-Identifier: Apache-2.0
"""The checks of LVM: its commands, the volume group, its disks and its volumes."""

import os
import time
from collections.abc import Iterator, Sequence

from oslo_concurrency import processutils

from taikun_cinder import group_faults, volume_groups
from taikun_cinder.checks.check import BackendCheck
from taikun_cinder.checks.facts import Facts
from taikun_cinder.checks.findings import Finding, failed, of_problems, ok, warning
from taikun_cinder.checks.lvm_report import Row
from taikun_cinder.cli.backends import Backend

#: LVM itself suspends a volume for a moment, and udev makes a link a moment late: what
#: counts is still so after this many seconds.
_MOMENT = 3

_LATE = (
    "A disk does not answer, or another LVM command holds the lock of a volume group. "
    "Look for commands in state D (ps -eo stat,wchan:30,args), at the kernel's log "
    "(dmesg), at suspended volumes (dmsetup info --columns), and at multipath -ll."
)


def _commands(facts: Facts, backend: Backend) -> Iterator[Finding]:
    cure = (
        "Install lvm2, let cinder-volume's user become root (see privileged-process), "
        "and let cinder-rootwrap run vgs, pvs and lvs (rootwrap.d/volume.filters of "
        "Cinder)."
    )
    try:
        lvm = facts.lvm(backend).first()
        yield ok(f"LVM {lvm.version} answers root")
    except processutils.ProcessExecutionError as error:
        said = " ".join((error.stderr or error.stdout or "").split())
        yield failed(f"LVM does not answer root: {said or error.exit_code}", cure)
    except OSError as error:
        yield failed(f"LVM cannot be run: {error}", cure)


def _group(facts: Facts, backend: Backend) -> Iterator[Finding]:
    name = backend.options.volume_group
    group = facts.lvm(backend).get().groups.get(name)
    if group is None:
        problems = group_faults.of_volume_group(backend.options)
        yield from of_problems(problems, f"{name} is there")
    elif group["vg_exported"]:
        yield failed(
            f"{name} is exported (vgexport), so none of its volumes can be activated",
            f"If no other node uses it now, run vgimport {name}.",
        )
    elif group["vg_lock_type"] and not backend.records.state_volume(name):
        # As it is on a node that stands by, so it is no failure.
        folder = backend.records.folder
        yield warning(
            *volume_groups.absence(name, group["vg_lock_type"], folder),
        )
    else:
        lock = f", shared by {group['vg_lock_type']}" if group["vg_lock_type"] else ""
        yield ok(
            f"{name}{lock}: {_gib(group['vg_free'])} of {_gib(group['vg_size'])} free"
        )


def _gib(size: str) -> str:
    return f"{int(size) / 2**30:.1f} GiB"


def _disks(facts: Facts, backend: Backend) -> Iterator[Finding]:
    lvm, name = facts.lvm_with_group(backend), backend.options.volume_group
    own = [device for device in lvm.devices if device["vg_name"] == name]
    missing = [device["pv_uuid"] for device in own if device["pv_missing"]]
    ids = {device["pv_uuid"] for device in own}
    twice = [
        device["pv_name"]
        for device in lvm.devices
        if device["pv_duplicate"] and device["pv_uuid"] in ids
    ]
    if missing:
        yield failed(
            f"{len(missing)} of the {len(own)} disks of {name} are missing: "
            f"{', '.join(missing)}. Volumes on them cannot be activated, and nothing "
            "new can be made",
            "Bring the disk back (lsblk, dmesg, multipath -ll), then run pvscan "
            f"--cache, and vgextend --restoremissing {name} DEVICE if LVM asks for it. "
            "Do not run vgreduce --removemissing: what is on the disk would be lost.",
        )
    if twice:
        yield failed(
            f"LVM sees a disk of {name} twice, also as {', '.join(twice)}, and so "
            "changes nothing in it: no volume can be made, extended or deleted",
            "If these are paths of one disk, start multipathd, and let LVM's devices "
            "file or global_filter have the multipath device only. If one is a copy, "
            "such as an array's snapshot, take it from this node.",
        )
    if not missing and not twice:
        yield ok(", ".join(sorted(device["pv_name"] for device in own)))


def _volumes(facts: Facts, backend: Backend) -> Iterator[Finding]:
    lvm, name = facts.lvm_with_group(backend), backend.options.volume_group
    suspended, unlinked = _suspended(lvm.volumes), _unlinked(lvm.volumes)
    if suspended or unlinked:
        time.sleep(_MOMENT)
        del lvm.volumes  # so that they are read anew
        suspended &= _suspended(lvm.volumes)
        unlinked &= _unlinked(lvm.volumes)
    if suspended:
        yield failed(
            f"{len(suspended)} logical volume(s) of {name} are suspended, so all that "
            f"reads or writes there waits: {_some(suspended)}",
            "If no LVM command is at work on it (ps -ef), one was killed on its way: "
            f"run dmsetup resume {_mapped(name)}-NAME, with each - of NAME doubled.",
        )
    if unlinked:
        yield warning(
            f"{len(unlinked)} active volume(s) of {name} have no link in /dev/{name}: "
            f"{_some(unlinked)}",
            "See that udevd runs, and run udevadm trigger --subsystem-match=block. In "
            "a container, mount /dev and /run/udev of the host.",
        )
    if not suspended and not unlinked:
        yield ok(
            f"{len(lvm.volumes)} logical volume(s), none suspended or without link"
        )


def _suspended(volumes: Sequence[Row]) -> set[str]:
    return {row["lv_name"] for row in volumes if row["lv_suspended"] == "suspended"}


def _unlinked(volumes: Sequence[Row]) -> set[str]:
    return {
        row["lv_name"]
        for row in volumes
        if row["lv_active"] == "active"
        and row["lv_path"]
        and not os.path.exists(row["lv_path"])
    }


def _some(names: set[str]) -> str:
    some = sorted(names)[:3]
    return ", ".join([*some, *["..."] * (len(names) > len(some))])


def _mapped(name: str) -> str:
    return name.replace("-", "--")


CHECKS = (
    BackendCheck(
        "lvm-commands",
        "LVM answers root, by ``cinder-rootwrap`` and in time.",
        _commands,
        seconds=60,
        late=_LATE,
        as_service=True,
    ),
    BackendCheck(
        "volume-group",
        "LVM shows Cinder the volume group: it is there, not hidden by the devices "
        "file or a filter, not another node's, and not exported.",
        _group,
        seconds=60,
        late=_LATE,
    ),
    BackendCheck(
        "physical-volumes",
        "All disks of the group are there, and each is seen once.",
        _disks,
    ),
    BackendCheck(
        "logical-volumes",
        "No volume of the group is suspended, which keeps its hosts waiting; active "
        "ones have their link.",
        _volumes,
        seconds=60,
        late=_LATE,
    ),
)
