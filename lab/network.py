# SPDX-License-Identifier: Apache-2.0
"""The lab's networks: a user-space switch each, joined by every node's kernel."""

import dataclasses

from lab.plan import CONTROL, MANAGEMENT
from lab.sandbox import Sandbox
from lab.workdir import WorkFolder

#: The networks, in the order of each node's interfaces (eth0, eth1).
NETWORKS = ("management", "storage")


@dataclasses.dataclass(frozen=True)
class Network:
    """A switch of the lab.

    Attributes:
        name: one of ``NETWORKS``.
        socket: the path of the switch's socket inside the lab.
    """

    name: str
    socket: str


def start_networks(sandbox: Sandbox, work: WorkFolder) -> tuple[Network, ...]:
    """Start the switches, and give the control plane its place on the first one.

    The storage network has no port into the namespace: iSCSI passes between the nodes
    only, as on a storage network of its own.
    """
    log = work.log("network")
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}

    def run(*argv: str) -> None:
        sandbox.run(argv, env=environment, log=log, timeout=20)

    run("ip", "tuntap", "add", "tap0", "mode", "tap")
    run(
        "ip", "address", "add", MANAGEMENT.format(CONTROL.split(".")[-1]), "dev", "tap0"
    )
    run("ip", "link", "set", "tap0", "up")
    for network in networks(work):
        tap = ("-tap", "tap0") if network.name == "management" else ()
        run("uml_switch", "-unix", network.socket, *tap, "-daemon")
    return networks(work)


def networks(work: WorkFolder) -> tuple[Network, ...]:
    """Give the networks of a lab, for a node to boot into."""
    return tuple(
        Network(name, work.inside("net", f"{name}.switch")) for name in NETWORKS
    )
