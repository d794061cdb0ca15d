# SPDX-License-Identifier: Apache-2.0
"""SCSI-3 persistent reservations that outlive a re-export and a reboot (APTPL).

The kernel writes them to a file named by the unit serial, but leaves it to user space
to give them back to a new backstore (core_scsi3_update_aptpl_buf() and
target_pr_res_aptpl_metadata_store() in target_core_pr.c and target_core_configfs.c).
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from taikun_cinder.privsep import files, moving

_ROOT = "/sys/kernel/config/target"
_START = "PR_REG_START:"
_END = "PR_REG_END:"


def folder() -> Path | None:
    """Give the folder of the files, None if LIO is not loaded."""
    root = files.get(f"{_ROOT}/dbroot")
    return Path(root, "pr") if root else None


def prepare() -> None:
    """Make the folder, without which LIO refuses a reservation that is to last.

    Raises:
        OSError: it cannot be made.
    """
    path = folder()
    if path is None or path.is_dir():
        return
    # Not by mkdir's parents, which everybody could write to: the mask of files is 0
    # here (oslo_privsep.daemon.Daemon.run).
    with contextlib.suppress(FileExistsError):
        path.parent.mkdir(mode=0o755)
    path.mkdir(mode=0o700, exist_ok=True)


def restore(backstore: str, serial: str, group: str) -> None:
    """Give the reservations back to a backstore that is not exported yet.

    Those of a volume group that moves between nodes are on the group's own disk: the
    kernel's file is a link there.

    Args:
        backstore: its folder.
        serial: the unit serial.
        group: the volume group of the device.
    """
    path = folder()
    if path is None:
        return
    file = path / f"aptpl_{serial}"
    try:
        _lead(file, moving.folder(group))
    except OSError:
        return  # what is here may be of a time before, and hosts wait for their disk
    try:
        saved = file.read_text()
    except FileNotFoundError:
        return
    for registration in parse(saved):
        files.put(f"{backstore}/pr/res_aptpl_metadata", registration)


def _lead(file: Path, to: Path | None) -> None:
    """Let the kernel's file be in a folder on the group's disk, or here again.

    What is here of a group that moves is what this node knew before the last move.
    """
    if to is None:
        if file.is_symlink():
            file.unlink()
        return
    there = to / file.name
    if file.is_symlink() and file.readlink() == there:
        return
    draft = file.with_suffix(".new")
    draft.unlink(missing_ok=True)
    draft.symlink_to(there)
    draft.replace(file)


def parse(saved: str) -> Iterator[str]:
    """Give each registration in the form that the kernel takes back."""
    lines: list[str] = []
    for line in map(str.strip, saved.splitlines()):
        if line.startswith(_START):
            lines = []
        elif line.startswith(_END):
            yield ",".join(lines)
        else:
            lines.append(line)
