# SPDX-License-Identifier: Apache-2.0
"""The plan of the cluster: its networks, its nodes and their addresses.

The addresses are those that RFC 5737 and RFC 3849 keep for documentation, so that even
a mistake could not reach anybody.
"""

import dataclasses
import json
from pathlib import Path

#: Networks: management (API, database, messages, the agents) and storage (iSCSI).
MANAGEMENT = "192.0.2.{}/24"
STORAGE = "198.51.100.{}/24"
STORAGE_IPV6 = "2001:db8:1::{}/64"

#: The control plane's address on the management network.
CONTROL = "192.0.2.1"

AGENT_PORT = 7000
SHELL_PORT = 7001
#: Of the power switch, at the control plane's address.
POWER_PORT = 7002
VOLUME_GROUP = "cinder-volumes"
#: Of the second back end, since Cinder migrates no volume within one group.
SECOND_GROUP = "cinder-paths"


@dataclasses.dataclass(frozen=True)
class NodePlan:
    """One node: a kernel of its own.

    Attributes:
        name: the node's name, and its host name.
        number: the last part of its addresses.
        memory: in MiB.
        disk: the size of its disk for each volume group in GiB, 0 for none.
        shared_disk: the size of the one disk that all nodes with one see, in GiB.
        preload: modules that the agent imports once, so that calls start at once.
        patched: whether Python is patched by eventlet in what the agent calls, as it is
            in Cinder's services.
    """

    name: str
    number: int
    memory: int = 1024
    disk: int = 0
    shared_disk: int = 0
    preload: tuple[str, ...] = ()
    patched: bool = False

    @property
    def management_address(self) -> str:
        """The address that the control plane and the agent use."""
        return MANAGEMENT.format(self.number).partition("/")[0]

    @property
    def storage_address(self) -> str:
        """The address that iSCSI uses."""
        return STORAGE.format(self.number).partition("/")[0]

    @property
    def storage_address_ipv6(self) -> str:
        """The same, in the other family."""
        return STORAGE_IPV6.format(self.number).partition("/")[0]

    @property
    def initiator(self) -> str:
        """The node's iSCSI qualified name."""
        return f"iqn.2026-11.example.lab:{self.name}"

    @property
    def interfaces(self) -> dict[str, list[str]]:
        """Each network interface with its addresses and prefix lengths."""
        return {
            "eth0": [MANAGEMENT.format(self.number)],
            "eth1": [STORAGE.format(self.number), STORAGE_IPV6.format(self.number)],
        }

    def mac_address(self, interface: int) -> str:
        """Give the hardware address of eth0, eth1, ...

        It is fixed, or the others would look for a node in vain after its reboot.
        """
        return f"02:00:00:00:{interface:02x}:{self.number:02x}"

    def save(self, folder: Path) -> None:
        """Write the plan where the node's boot reads it."""
        (folder / "node.json").write_text(json.dumps(dataclasses.asdict(self)))

    @classmethod
    def load(cls, folder: Path) -> "NodePlan":
        """Read what :meth:`save` wrote."""
        fields = json.loads((folder / "node.json").read_text())
        return cls(**{**fields, "preload": tuple(fields["preload"])})


def hosts_file(nodes: tuple[NodePlan, ...]) -> str:
    """Give an /etc/hosts that knows the control plane and all nodes."""
    lines = ["127.0.0.1 localhost", "::1 localhost", f"{CONTROL} control"]
    lines += [f"{node.management_address} {node.name}" for node in nodes]
    return "\n".join(lines) + "\n"


STORAGE_NODE = NodePlan(
    "storage",
    11,
    memory=3072,
    disk=20,
    preload=("lab.guest.volume", "taikun_cinder.driver"),
)
COMPUTE_NODES = tuple(
    NodePlan(f"compute{n}", 20 + n, preload=("lab.guest.host",)) for n in (1, 2)
)
CLUSTER = (STORAGE_NODE, *COMPUTE_NODES)
#: A third host, which only some kinds of clusters boot.
THIRD_HOST = NodePlan("compute3", 23, preload=("lab.guest.host",))
#: Two storage nodes with one disk, each with a volume group of its own, too.
STORAGE_PAIR = (
    dataclasses.replace(STORAGE_NODE, memory=1536, disk=4, shared_disk=8),
    NodePlan(
        "storage2",
        12,
        memory=1536,
        disk=4,
        shared_disk=8,
        preload=STORAGE_NODE.preload,
    ),
)
#: All nodes that a lab has a place for.
NODES = (*CLUSTER, THIRD_HOST, STORAGE_PAIR[1])
