# SPDX-License-Identifier: Apache-2.0
"""The lab's networks: a bridge each, with a port for every node's kernel."""

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path

from lab.plan import CONTROL, MANAGEMENT, NODES, NodePlan
from lab.sandbox import Sandbox
from lab.workdir import WorkFolder

#: The networks, in the order of each node's interfaces (eth0, eth1).
NETWORKS = ("management", "storage")


@dataclasses.dataclass(frozen=True)
class Network:
    """A bridge in the lab's network namespace.

    Attributes:
        name: one of ``NETWORKS``; it is the bridge's name.
    """

    name: str

    def port(self, plan: NodePlan) -> str:
        """Give the name of a node's port: a TAP device, which its kernel opens."""
        return f"{plan.name}-{self.name[:4]}"


def networks() -> tuple[Network, ...]:
    """Give the networks, for a node to boot into."""
    return tuple(map(Network, NETWORKS))


@contextlib.contextmanager
def coming_up(work: WorkFolder) -> Iterator[Sandbox]:
    """Give namespaces with the networks; if the block fails, nothing of them is left.

    This thread joins the network.

    Args:
        work: the lab's folder.

    Raises:
        LabError: a step failed.
    """
    work.prepare()
    sandbox = Sandbox.create(work)
    try:
        _start_networks(sandbox, work)
        sandbox.join_network()
        yield sandbox
    except BaseException:
        sandbox.close()
        raise


def _start_networks(sandbox: Sandbox, work: WorkFolder) -> None:
    """Make the bridges with their ports, and give the control plane its address.

    The storage network's bridge has no address in the namespace: iSCSI passes between
    the nodes only, as on a storage network of its own.
    """
    control = MANAGEMENT.format(CONTROL.split(".")[-1])
    lines = []
    # With IPv6, a bridge would give itself an address.
    quiet = "addrgenmode none" if Path("/proc/sys/net/ipv6").exists() else ""
    for network in networks():
        lines += [
            f"link add {network.name} type bridge",
            f"link set {network.name} {quiet} up",
        ]
        for plan in NODES:
            port = network.port(plan)
            lines += [
                f"tuntap add {port} mode tap",
                f"link set {port} {quiet} master {network.name} up",
            ]
    lines.append(f"address add {control} dev {NETWORKS[0]}")
    script = work.path / "net" / "links"
    script.write_text("\n".join(lines) + "\n")
    sandbox.run(
        ["ip", "-batch", work.inside("net", script.name)],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        log=work.log("network"),
        timeout=20,
    )
