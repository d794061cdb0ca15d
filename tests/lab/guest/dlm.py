# SPDX-License-Identifier: Apache-2.0
"""LVM that several hosts share: corosync, the kernel's DLM, and lvmlockd over them."""

import shutil
import subprocess
import time
from pathlib import Path

from lab.guest.system import run
from lab.plan import NodePlan

CLUSTER = "lab"
GROUP = "shared"

_TOOLS = ("corosync", "dlm_controld", "lvmlockd", "mkfs.gfs2")

#: In ms: until a node that says nothing is taken for dead. Corosync's own is 3000;
#: kernels that share a busy processor need more.
_TOKEN = 10000

_COROSYNC = """\
totem {{
    version: 2
    cluster_name: {cluster}
    transport: udpu
    token: {token}
    crypto_cipher: none
    crypto_hash: none
}}
nodelist {{
{nodes}}}
quorum {{
    provider: corosync_votequorum
    two_node: {two_node:d}
    wait_for_all: 0
}}
logging {{
    to_syslog: no
    to_logfile: yes
    logfile: /run/corosync.log
}}
"""
_NODE = """\
    node {{
        ring0_addr: {plan.storage_address}
        nodeid: {plan.number}
        name: {plan.name}
    }}
"""
#: Only the disks that come in over iSCSI; a guest has its shared disk's path there.
_LVM = """\
devices {
    global_filter = ["a|^/dev/sd|", "r|.*|"]
    use_devicesfile = 0
}
global {
    use_lvmlockd = 1
}
activation {
    monitoring = 0
}
"""
#: The agent that lets Pacemaker fence a lost node, and waits for it.
PACEMAKER = "/usr/sbin/dlm_stonith"

_FENCED = Path("/run/fenced")
#: The agent that dlm_controld calls for a lost node. It says that it is done when the
#: host's attachment has been ended, as one that asks Cinder's API does.
_AGENT = f"""\
#!/bin/sh
while ! [ -e {_FENCED} ]; do sleep 1; done
"""


def missing() -> list[str]:
    """Give the programs that this needs and the node has not."""
    path = "/usr/sbin:/sbin:/usr/bin:/bin"
    return [tool for tool in _TOOLS if shutil.which(tool, path=path) is None]


def join(plans: list[NodePlan]) -> None:
    """Make this node a member of a cluster of these nodes, and start its daemons."""
    Path("/etc/lvm/lvm.conf").write_text(_LVM)
    run("modprobe", "gfs2")
    agent = Path("/run/fence-lab")
    agent.write_text(_AGENT)
    agent.chmod(0o755)
    start_daemons(plans, str(agent))


def start_daemons(plans: list[NodePlan], agent: str = PACEMAKER) -> None:
    """Start corosync, DLM and lvmlockd, as lvm.conf says that there is one.

    Args:
        plans: the nodes.
        agent: what dlm_controld calls for a lost node.
    """
    Path("/etc/corosync").mkdir(exist_ok=True)
    nodes = "".join(_NODE.format(plan=plan) for plan in plans)
    Path("/etc/corosync/corosync.conf").write_text(
        _COROSYNC.format(
            cluster=CLUSTER, token=_TOKEN, nodes=nodes, two_node=len(plans) == 2
        )
    )
    Path("/etc/dlm").mkdir(exist_ok=True)
    # Nodes that were never seen need no fencing, as all nodes of the lab are seen.
    Path("/etc/dlm/dlm.conf").write_text(
        f"enable_startup_fencing=0\nfence_all {agent}\n"
    )
    for folder in ("/var/lib/corosync", "/run/lvm", "/run/dlm_controld"):
        Path(folder).mkdir(parents=True, exist_ok=True)
    run("modprobe", "dlm")
    run("corosync")
    _wait("corosync-quorumtool", "-s")
    run("dlm_controld")
    _wait("dlm_tool", "status")
    run("lvmlockd")
    _wait("lvmlockctl", "--info")


def _wait(*argv: str, timeout: float = 60) -> None:
    deadline = time.monotonic() + timeout
    while subprocess.run(argv, capture_output=True, check=False).returncode:
        if time.monotonic() > deadline:
            log = Path("/run/corosync.log").read_text()[-2000:]
            raise TimeoutError(f"{' '.join(argv)} fails after {timeout:.0f} s: {log}")
        time.sleep(0.5)


def members() -> int:
    """Give how many nodes the cluster has now."""
    said = run("corosync-quorumtool", "-s")
    (line,) = (line for line in said.splitlines() if line.startswith("Nodes:"))
    return int(line.split()[1])


def make_group(path: str) -> None:
    """Make a volume group of a shared disk, whose locks are the DLM's."""
    run("vgcreate", "--shared", "--lock-type", "dlm", GROUP, path)


def use_group() -> None:
    """Take part in the locks of the group."""
    run("vgchange", "--lockstart", GROUP)


def leave_group() -> None:
    """Undo it, and deactivate what is active here."""
    run("vgchange", "-an", GROUP)
    run("vgchange", "--lockstop", GROUP)


def make_volume(name: str, size: str) -> None:
    """Make a logical volume, which is active here and nowhere else."""
    run("lvcreate", "--yes", "-aey", "-L", size, "-n", name, GROUP)


def activate(name: str, how: str) -> str:
    """Activate a logical volume; give what LVM says if it may not, nothing else.

    Args:
        name: the logical volume's.
        how: ``ey`` for this node alone, ``sy`` for all, ``n`` to deactivate it.
    """
    argv = ["lvchange", f"-a{how}", f"{GROUP}/{name}"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return done.stderr if done.returncode else ""


def make_gfs2(name: str, journals: int) -> None:
    """Make a GFS2 on a logical volume."""
    table = f"{CLUSTER}:{name}"
    few = ["-J", "8", "-j", str(journals)]
    run("mkfs.gfs2", "-O", "-q", "-p", "lock_dlm", "-t", table, *few, device(name))


def device(name: str) -> str:
    """Give the path of a logical volume of the group."""
    return f"/dev/{GROUP}/{name}"


def tell_fenced() -> None:
    """Let the agent end: the lost host cannot write to the disk any more."""
    _FENCED.touch()
