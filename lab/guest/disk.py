# SPDX-License-Identifier: Apache-2.0
"""A disk of an initiator, as its root user sees it and can use it."""

import subprocess
from pathlib import Path

from lab.guest.system import run


def session(path: str) -> str:
    """Name the session that a disk came by; another login gives another one."""
    parts = Path("/sys/block", Path(path).name).resolve().parts
    return next(part for part in parts if part.startswith("session"))


def is_read_only(path: str) -> bool:
    """Say whether the host's kernel takes a disk for read-only."""
    return run("blockdev", "--getro", path).strip() == "1"


def look_again(path: str) -> None:
    """Let the host's kernel ask the target anew what a disk can do."""
    Path("/sys/block", Path(path).name, "device/rescan").write_text("1")


def remove(path: str) -> None:
    """Remove a disk from its host, as os-brick does before a host is detached."""
    Path("/sys/block", Path(path).name, "device/delete").write_text("1")


def size(path: str) -> int:
    """Give the size of a disk in bytes, after the host has looked again."""
    look_again(path)
    return int(run("blockdev", "--getsize64", path))


def unmap(path: str, count: int) -> bool:
    """Unmap the first blocks of a disk; say whether the target did.

    By a command, since Linux 7.2 as a host does not find out what Linux 7.2 as a target
    can: the page of block limits is too short for it (sd_read_block_limits()).
    """
    argv = ["sg_unmap", "--force", "--lba=0", f"--num={count}", path]
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


def write_raw(path: str, text: str) -> str:
    """Write to a disk's first block by a SCSI command, past the block layer.

    Returns:
        what sg_dd said; with its sense data if the target refused.
    """
    generic = next(Path("/sys/block", Path(path).name, "device/scsi_generic").iterdir())
    done = subprocess.run(
        ["sg_dd", "if=-", f"of=/dev/{generic.name}", "bs=512", "count=1"],
        input=text.encode().ljust(512, b"\0"),
        capture_output=True,
        check=False,
    )
    return f"status {done.returncode}: {done.stderr.decode()}"


def make_file_system_to_recover(path: str) -> None:
    """Make a small ext4 whose host was cut off from it: its journal is not empty.

    What is on the disk while the file system is mounted is what such a host leaves.
    """
    copy = Path("/run/file-system")
    run("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", path, "48M")
    run("mount", path, "/mnt")
    try:
        Path("/mnt/file").write_text("written before the host was cut off")
        run("sync")
        run("dd", f"if={path}", f"of={copy}", "bs=1M", "count=48", "iflag=direct")
    finally:
        run("umount", "/mnt")
    run("dd", f"if={copy}", f"of={path}", "bs=1M", "oflag=direct")
    copy.unlink()


def mount_read_only(path: str, options: str = "ro") -> str:
    """Mount a disk and unmount it again; give what is in its file.

    Raises:
        RuntimeError: it cannot be mounted.
    """
    run("mount", "-t", "ext4", "-o", options, path, "/mnt")
    try:
        return Path("/mnt/file").read_text()
    finally:
        run("umount", "/mnt")
