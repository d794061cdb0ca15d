# SPDX-License-Identifier: Apache-2.0
"""The checks of the records, by which hosts get their disks back after a reboot."""

import os
from collections.abc import Iterator, Sequence

from taikun_cinder import state_folder
from taikun_cinder.checks.check import BackendCheck
from taikun_cinder.checks.facts import Facts
from taikun_cinder.checks.findings import Finding, of_problems, ok, warning
from taikun_cinder.cli.backends import Backend
from taikun_cinder.exception import RecordUnreadable

#: The least room for records, in bytes and in files: a few KiB for each volume.
_ROOM, _FILES = 16 * 2**20, 100


def _folder(facts: Facts, backend: Backend) -> Iterator[Finding]:
    folder = backend.records.folder
    found = list(state_folder.problems(folder, facts.node, make=False))
    if found or not folder.exists():
        yield from of_problems(found, f"{folder} is not there yet; a start makes it")
        return
    room = os.statvfs(folder)
    free = room.f_bavail * room.f_frsize
    if free < _ROOM or (room.f_files and room.f_favail < _FILES):
        yield warning(
            f"The disk of {folder} is nearly full: {free / 2**20:.0f} MiB and "
            f"{room.f_favail} files are free. Without room no attach goes on",
            "Make room there, or set taikun_state_path to another disk, and move the "
            "files there while cinder-volume is stopped.",
        )
    else:
        yield ok(f"{folder} can be written, and nobody else can")


def _records(facts: Facts, backend: Backend) -> Iterator[Finding]:
    damaged, strange, others, number = [], [], [], 0
    for volume in backend.records.volumes():
        number += 1
        try:
            record = backend.records.read(volume)
        except RecordUnreadable:
            damaged.append(volume)
            continue
        if record is None:  # it was deleted just now
            continue
        if not record.is_of_this_node:
            strange.append(volume)
        elif record.export and record.about and record.about.backend not in facts.hosts:
            others.append(volume)
    folder = backend.records.folder
    heal = (
        "Start cinder-volume: it goes by what the kernel exports and by Cinder's "
        "attachments, and writes them anew or deletes them"
    )
    if damaged:
        yield _told(
            damaged,
            f"in {folder} cannot be read, and a boot brings nothing back by them",
            f"{heal}. See that the disk is well (dmesg).",
        )
    if strange:
        yield _told(
            strange,
            f"in {folder} are of another node, and are not believed",
            f"{heal}. If two nodes share the folder, give each one its own "
            "(taikun_state_path).",
        )
    if others:
        yield _told(
            others,
            f"in {folder} are of a back end that this node does not have (any more)",
            "If host, backend_host or a section's name was changed, run cinder-manage "
            "volume update_host, too. Else enable the back end again "
            "(enabled_backends).",
        )
    if not damaged and not strange and not others:
        yield ok(f"{number} record(s) in {folder}")


def _fences(_facts: Facts, backend: Backend) -> Iterator[Finding]:
    fences = backend.records.fences
    found = [
        f"{fence.initiator} of {volume}"
        for volume in fences.volumes()
        for fence in fences.of(volume)
    ]
    if found:
        yield _some(
            found,
            "fence(s) keep hosts out of volumes",
            "Each ends by itself when the host is attached anew. Where a host is to "
            "have its old attachment back, run taikun-cinder fence --lift VOLUME HOST.",
        )
    else:
        yield ok("No host is kept out by a fence")


def _told(volumes: Sequence[str], what: str, cure: str) -> Finding:
    return _some(volumes, f"record(s) {what}", cure)


def _some(names: Sequence[str], what: str, cure: str) -> Finding:
    some = ", ".join([*names[:3], *["..."] * (len(names) > len(names[:3]))])
    return warning(f"{len(names)} {what}: {some}", cure)


CHECKS = (
    BackendCheck(
        "state-folder",
        "``taikun_state_path`` can be written by ``cinder-volume`` and by nobody else, "
        "has room, and outlives a reboot.",
        _folder,
        seconds=30,
        late="See whether its disk answers (dmesg).",
        as_service=True,
    ),
    BackendCheck(
        "records",
        "All records in it can be read, and are of this node and its back ends.",
        _records,
        seconds=60,
        late="See whether its disk answers (dmesg).",
        as_service=True,
    ),
    BackendCheck(
        "fences",
        "No host is kept out of a volume by a fence that nobody remembers "
        "(:doc:`fencing`).",
        _fences,
        as_service=True,
    ),
)
