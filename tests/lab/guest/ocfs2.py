# SPDX-License-Identifier: Apache-2.0
"""OCFS2 with its own cluster stack, o2cb, as ocfs2-tools' documentation sets it up."""

from pathlib import Path

from lab.guest.system import run
from lab.plan import NodePlan

NAME = "lab"

_CLUSTER = Path("/sys/kernel/config/cluster", NAME)

#: A node is dead when it has not written to the disk for (this - 1) * 2 seconds; one
#: that could not write for so long ends itself. Shorter than the default of 31, and
#: long enough for kernels that share a busy processor.
_DEAD_THRESHOLD = 16


def breaks_this_kernel() -> bool:
    """Say whether OCFS2 makes this kernel panic when its nodes connect.

    o2net keeps the address of the function sock_def_readable in a listening socket's
    sk_user_data (fs/ocfs2/cluster/tcp.c, o2net_open_listening_sock). The lowest bit of
    that field means that an accepted socket does not inherit it (SK_USER_DATA_NOCOPY,
    include/net/sock.h). In a kernel that was compiled for size a function can be at an
    odd address. Then o2net_listen_data_ready finds no function for the new socket, and
    calls itself for ever.
    """
    for line in Path("/proc/kallsyms").read_text().splitlines():
        address, _type, name, *_module = line.split()
        if name == "sock_def_readable":
            return int(address, 16) % 2 == 1
    return False


def join(plans: list[NodePlan]) -> None:
    """Make this node a member of a cluster of these nodes."""
    folder = Path("/etc/ocfs2")
    folder.mkdir(exist_ok=True)
    parts = [f"cluster:\n\tnode_count = {len(plans)}\n\tname = {NAME}\n"]
    parts += [
        f"node:\n\tip_port = 7777\n\tip_address = {plan.storage_address}\n"
        f"\tnumber = {plan.number}\n\tname = {plan.name}\n\tcluster = {NAME}\n"
        for plan in plans
    ]
    (folder / "cluster.conf").write_text("\n".join(parts))
    for module in ("ocfs2_stackglue", "ocfs2_stack_o2cb", "ocfs2_dlm", "ocfs2"):
        run("modprobe", module)
    Path("/sys/fs/ocfs2/cluster_stack").write_text("o2cb")
    run("o2cb", "register-cluster", NAME)
    (_CLUSTER / "heartbeat/dead_threshold").write_text(str(_DEAD_THRESHOLD))


def make(path: str) -> None:
    """Make a file system for two nodes on a disk."""
    stack = ("--cluster-stack=o2cb", f"--cluster-name={NAME}")
    run("mkfs.ocfs2", "-q", "-N", "2", "-J", "size=8M", *stack, path)
