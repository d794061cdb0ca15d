# SPDX-License-Identifier: Apache-2.0
"""The parts of a running system that every node needs."""

import socket
import subprocess
from pathlib import Path

from lab.plan import NODES, NodePlan, hosts_file

MODULES = (
    "configfs",
    "dm_mod",
    "dm_snapshot",
    "dm_thin_pool",
    "dm_multipath",
    "target_core_mod",
    "target_core_iblock",
    "iscsi_target_mod",
    "iscsi_tcp",
    "sd_mod",
    "sg",
)


def run(*argv: str) -> str:
    """Run a command of the node's set-up; its output is returned.

    Raises:
        RuntimeError: it failed; the message has what it printed.
    """
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise RuntimeError(f"{' '.join(argv)} ended with {done.returncode}: {said}")
    return done.stdout


def name_the_node(plan: NodePlan) -> None:
    """Give the node its host name, and the names of all others."""
    socket.sethostname(plan.name)
    Path("/etc/hostname").write_text(plan.name + "\n")
    Path("/etc/hosts").write_text(hosts_file(NODES))


def bring_up_network(plan: NodePlan) -> None:
    """Set the addresses of the node's interfaces."""
    run("ip", "link", "set", "lo", "up")
    for interface, addresses in plan.interfaces.items():
        for address in addresses:
            nodad = ("nodad",) if ":" in address else ()
            run("ip", "address", "add", address, "dev", interface, *nodad)
        run("ip", "link", "set", interface, "up")


def start_udev(_plan: NodePlan) -> None:
    """Start udev, without which LVM makes no device nodes."""
    run("/lib/systemd/systemd-udevd", "--daemon")
    run("udevadm", "trigger", "--action=add", "--subsystem-match=block")


def load_modules(_plan: NodePlan) -> None:
    """Load the storage stack and mount configfs for LIO."""
    # As rtslib's package does, which will have no other place for its files. What is
    # in it is for those to make who need it.
    Path("/etc/target").mkdir(exist_ok=True)
    # From Linux 7.1 on IPv6 is no module.
    ipv6 = () if Path("/proc/sys/net/ipv6").exists() else ("ipv6",)
    run("modprobe", "--all", *ipv6, *MODULES)
    if not Path("/sys/kernel/config/target").exists():
        run("mount", "-t", "configfs", "configfs", "/sys/kernel/config")


def power_off() -> None:
    """Power the node off at once; its file systems are all in memory or on hostfs."""
    Path("/proc/sysrq-trigger").write_text("o")
