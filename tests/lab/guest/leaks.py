# SPDX-License-Identifier: Apache-2.0
"""Looks on a node for words that nobody but their owner may read."""

import os
import stat
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

#: All that the node wrote since its boot: the overlay's own layer (lab/guest/init.sh),
#: and what is in memory. The lab's own folder, the host's, is not crossed into.
_WRITTEN = (Path("/mnt/host/mnt/upper"), Path("/run"), Path("/dev/shm"))  # noqa: S108

_ISCSI = Path("/sys/kernel/config/target/iscsi")
_PASSWORDS = "*/tpgt_*/acls/*/auth/password"


def in_readable_files(words: Sequence[str]) -> list[str]:
    """Name the files that every user may read and that contain one of the words.

    Only a file's own mode counts, since its folder may be opened to others later.
    """
    wanted = [word.encode() for word in words]
    return [
        str(path)
        for root in _WRITTEN
        for path in _readable(root)
        if any(word in path.read_bytes() for word in wanted)
    ]


def _readable(root: Path) -> Iterator[Path]:
    device = _device(root)
    for folder, below, names in os.walk(root):
        below[:] = [
            child for child in below if os.lstat(f"{folder}/{child}").st_dev == device
        ]
        for name in names:
            path = Path(folder, name)
            mode = path.lstat().st_mode
            if stat.S_ISREG(mode) and mode & stat.S_IROTH:
                yield path


def _device(path: Path) -> int:
    return path.lstat().st_dev


def passwords_shown_to(user: str) -> tuple[int, int]:
    """Say how many CHAP passwords LIO has, and how many of them a user can read."""
    files = [path for path in _ISCSI.glob(_PASSWORDS) if path.read_text().strip()]
    command = ["runuser", "-u", user, "--", "cat", *map(str, files)]
    read = subprocess.run(command, capture_output=True, check=False)
    return len(files), len(read.stdout.split())
