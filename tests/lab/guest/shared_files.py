# SPDX-License-Identifier: Apache-2.0
"""Files of a cluster file system that several hosts have mounted, whatever its kind."""

import hashlib
from pathlib import Path

from lab.guest.system import run

MOUNTED = Path("/mnt")


def mount(kind: str, path: str) -> None:
    """Mount a disk's file system."""
    run("mount", "-t", kind, path, str(MOUNTED))


def unmount() -> None:
    """Unmount it."""
    run("umount", str(MOUNTED))


def write(folder: str, prefix: str, number: int) -> None:
    """Write a number of files of different contents into a folder, each to the disk."""
    into = MOUNTED / folder
    into.mkdir(exist_ok=True)
    for index in range(number):
        text = f"{prefix} {index}\n" * (1000 + index)
        (into / f"{prefix}-{index}").write_text(text)
    run("sync", "-f", str(into))


def digests(folder: str) -> dict[str, str]:
    """Give the digests of the files in a folder by their names."""
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted((MOUNTED / folder).iterdir())
    }
