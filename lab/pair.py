# SPDX-License-Identifier: Apache-2.0
"""Two storage nodes with one disk, and a host: what a back end moves between."""

from lab.network import coming_up
from lab.node import Node
from lab.plan import COMPUTE_NODES, STORAGE_PAIR
from lab.power import PowerSwitch
from lab.workdir import WorkFolder


class Pair:
    """Two storage nodes and a host, without a control plane.

    It lives as long as this process, or until down.

    Args:
        work: a folder for it.

    Attributes:
        storage: the two storage nodes.
        host: the host.
        work: the folder.
        power: the switch that the storage nodes can cut each other's power with.
        sandbox: their namespaces; a thread that calls into a node joins the network.
    """

    def __init__(self, work: WorkFolder) -> None:
        self.work = work

    def up(self) -> None:
        """Bring it up.

        Raises:
            LabError: a step failed; nothing of it is left.
        """
        with coming_up(self.work) as self.sandbox:
            plans = (*STORAGE_PAIR, COMPUTE_NODES[0])
            nodes = [Node(self.sandbox, self.work, plan) for plan in plans]
            for node in nodes:
                node.boot()
            for node in nodes:
                node.wait_until_up()
            *self.storage, self.host = nodes
            self.power = PowerSwitch(self.storage)

    def down(self) -> None:
        """End it."""
        self.power.close()
        self.sandbox.close()
