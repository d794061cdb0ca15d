# SPDX-License-Identifier: Apache-2.0
"""Applications that write so much that their kernel always has writes waiting."""

import subprocess

#: Each writes the same MiB over and over: through the cache, so that the kernel writes
#: back what it has collected, and past it.
_BUFFERED = (
    "while :; do dd if=/dev/zero of={0} bs=64k count=16 seek={1} {2} || sleep 1; done"
)
_PAST_THE_CACHE = "conv=notrunc oflag=direct"
_MIB = 16


def begin(path: str, mib: int) -> list[int]:
    """Write to two MiB of a disk without an end; give the processes that do."""
    return [
        subprocess.Popen(
            ["bash", "-c", _BUFFERED.format(path, (mib + number) * _MIB, how)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ).pid
        for number, how in enumerate(("conv=notrunc", _PAST_THE_CACHE))
    ]


def end(pids: list[int]) -> None:
    """End them."""
    for pid in pids:
        subprocess.run(["pkill", "-KILL", "--session", str(pid)], check=False)
