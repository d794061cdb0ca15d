# SPDX-License-Identifier: Apache-2.0
"""A multi-attach volume of the cluster, and what the kernel has for it."""

import contextlib
import dataclasses
import uuid
from collections.abc import Iterator
from typing import Any

from lab import attachments
from lab.attachments import Attached
from lab.cluster import Cluster
from lab.demo import BACKEND, USER

_ISCSI = "/sys/kernel/config/target/iscsi"
_BACKSTORES = "/sys/kernel/config/target/core"


@dataclasses.dataclass
class Shared:
    """A volume of a multi-attach type, created by an ordinary member."""

    cluster: Cluster
    id: str

    def attach(
        self, node: str, mode: str = "rw", *, multipath: bool = False
    ) -> Attached:
        """Attach it on a node, up to its device."""
        host = self.cluster.nodes[node]
        return attachments.attach(
            self.cluster.clients, USER, host, self.id, mode, multipath=multipath
        )

    def detach(self, attached: Attached) -> None:
        """Disconnect the host, and end its attachment."""
        attachments.detach(self.cluster.clients, USER, attached)

    def let_in(self, host: str) -> tuple[str, dict[str, Any]]:
        """Attach it for a host's initiator, without the host's part."""
        connector = {
            "host": host,
            "ip": "198.51.100.99",
            "initiator": initiator(host),
            "multipath": False,
        }
        return attachments.let_in(self.cluster.clients, USER, self.id, connector)

    def end(self, attachment: str) -> None:
        """End an attachment, without the host's part."""
        self.cluster.clients.volume(USER, "nova").attachments.delete(attachment)

    def initiators(self) -> set[str]:
        """Give those that the kernel lets in."""
        acls = f"{_ISCSI}/*:volume-{self.id}/tpgt_1/acls"
        return set(self._storage(f"ls {acls} 2>/dev/null || true").split())

    def is_exported(self) -> bool:
        """Say whether the kernel has a target or a backstore of it."""
        everywhere = (
            f"{_ISCSI}/*{self.id}* /sys/kernel/config/target/core/*/*{self.id}*"
        )
        return bool(self._storage(f"ls -d {everywhere} 2>/dev/null || true").split())

    def is_open(self) -> bool:
        """Say whether anything on the storage node has its device open."""
        options = "--noheadings -o lv_device_open --select"
        return "open" in self._storage(f"lvs {options} lv_name=volume-{self.id}")

    def _storage(self, command: str) -> str:
        return self.cluster.nodes["storage"].run(command)


def initiator(host: str) -> str:
    """Give the name by which a host of the lab is known to iSCSI."""
    return f"iqn.2026-11.example.lab:{host}"


@contextlib.contextmanager
def volume_type(
    cluster: Cluster, backend: str | None = BACKEND, **specs: str
) -> Iterator[str]:
    """Create a multi-attach type, and delete it behind the block; give its name.

    Args:
        cluster: where.
        backend: where its volumes go; anywhere if it is None.
        specs: its ``taikun:`` extra specs.
    """
    admin = cluster.clients.volume("admin")
    made = admin.volume_types.create(f"shared-{uuid.uuid4()}")
    keys = {"multiattach": "<is> True"}
    keys |= {f"taikun:{name}": value for name, value in specs.items()}
    made.set_keys(keys | ({"volume_backend_name": backend} if backend else {}))
    yield str(made.name)
    admin.volume_types.delete(made)


@contextlib.contextmanager
def volume(
    cluster: Cluster, backend: str | None = BACKEND, **specs: str
) -> Iterator[Shared]:
    """Create a multi-attach volume of 1 GiB, and delete it behind the block.

    The arguments are those of :func:`volume_type`.
    """
    cinder = cluster.clients.volume(USER)
    with volume_type(cluster, backend, **specs) as name:
        made = cinder.volumes.create(1, volume_type=name)
        attachments.wait_for_status(cinder, made.id, "available")
        yield Shared(cluster, str(made.id))
        attachments.wait_for_status(cinder, made.id, "available")
        cinder.volumes.delete(made.id)
        attachments.wait_until_deleted(cinder, made.id)


@contextlib.contextmanager
def plain(cluster: Cluster) -> Iterator[Any]:
    """Create a volume that is not multi-attach, and delete it behind the block."""
    admin, cinder = cluster.clients.volume("admin"), cluster.clients.volume(USER)
    made_type = admin.volume_types.create("plain")
    made_type.set_keys({"volume_backend_name": BACKEND})
    made = cinder.volumes.create(1, volume_type="plain")
    yield attachments.wait_for_status(cinder, made.id, "available")
    attachments.wait_for_status(cinder, made.id, "available")
    cinder.volumes.delete(made.id)
    attachments.wait_until_deleted(cinder, made.id)
    admin.volume_types.delete(made_type)


@contextlib.contextmanager
def writing(host: Attached, block: int) -> Iterator[dict[str, Any]]:
    """Let an application on a host write in the block; the dict has its result then."""
    seen: dict[str, Any] = {}
    run = host.node.call("lab.guest.steady", "begin", host.path, block)
    try:
        yield seen
    finally:
        seen.update(host.node.call("lab.guest.steady", "end", run))
