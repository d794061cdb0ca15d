# SPDX-License-Identifier: Apache-2.0
"""The first process of the lab's namespaces: while it lives the lab lives.

The kernel kills every process of a PID namespace when its first process ends, and
frees the network, the mounts and the memory files with the last of them. So whatever
ends this process, a Ctrl-C or a SIGKILL included, takes the whole lab away.
"""

import signal
import subprocess
import sys

from lab.workdir import INSIDE


def _lay_mounts(work: str) -> None:
    for command in (
        ["mount", "-t", "tmpfs", "-o", "mode=755", "lab", "/run"],
        ["mkdir", str(INSIDE)],
        ["mount", "--bind", work, str(INSIDE)],
        # A User-Mode Linux keeps its memory in a file here.
        ["mount", "-t", "tmpfs", "-o", "mode=1777,size=100%", "lab", "/dev/shm"],  # noqa: S108
        ["ip", "link", "set", "lo", "up"],
    ):
        subprocess.run(command, check=True)


def main(work: str) -> None:
    """Hold the namespaces until the owner goes away, or for good once told to stay.

    The owner writes to our standard input. Its end without a word means that the owner
    died or gave up.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the owner's to handle
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    _lay_mounts(work)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps what we adopt
    print("ready", flush=True)
    if sys.stdin.readline() != "stay\n":
        return
    while True:
        signal.pause()


if __name__ == "__main__":
    main(sys.argv[1])
