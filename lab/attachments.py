# SPDX-License-Identifier: Apache-2.0
"""Attaches volumes to hosts the way Nova does: reserve, update, connect, complete."""

import dataclasses
import time
import uuid
from typing import Any

from cinderclient import exceptions

from lab.clients import Clients
from lab.errors import LabError
from lab.node import Node


def wait_for_status(
    cinder: Any, volume_id: str, status: str, timeout: float = 90
) -> Any:
    """Wait until a volume has a status; give the volume.

    Raises:
        LabError: it went to an error, or did not get there in ``timeout`` seconds.
    """
    deadline = time.monotonic() + timeout
    while True:
        volume = cinder.volumes.get(volume_id)
        if volume.status == status:
            return volume
        late = time.monotonic() > deadline
        if late or volume.status.startswith("error"):
            raise LabError(
                f"volume {volume_id} is {volume.status} and not {status}"
                + (f" after {timeout:.0f} s" if late else "")
            )
        time.sleep(0.3)


def wait_for_snapshot(
    cinder: Any, snapshot_id: str, status: str | None, timeout: float = 90
) -> None:
    """Wait until a snapshot has a status, or is gone if that is None.

    Raises:
        LabError: it has not, and is not, after ``timeout`` seconds.
    """
    deadline = time.monotonic() + timeout
    while True:
        found = {
            snapshot.id: snapshot.status for snapshot in cinder.volume_snapshots.list()
        }
        if found.get(snapshot_id) == status:
            return
        if time.monotonic() > deadline:
            raise LabError(f"snapshot {snapshot_id} is {found.get(snapshot_id)}")
        time.sleep(0.3)


def wait_until_deleted(cinder: Any, volume_id: str, timeout: float = 90) -> None:
    """Wait until a volume is gone.

    Raises:
        LabError: it is still there after ``timeout`` seconds.
    """
    deadline = time.monotonic() + timeout
    while any(volume.id == volume_id for volume in cinder.volumes.list()):
        if time.monotonic() > deadline:
            raise LabError(f"volume {volume_id} is not gone after {timeout:.0f} s")
        time.sleep(0.3)


@dataclasses.dataclass
class Attached:
    """A volume attached to a server on a host.

    Attributes:
        node: the host.
        server: the server's id.
        attachment: the attachment's id.
        information: the connection information that Cinder gave.
        device: os-brick's device information; ``path`` is the block device.
    """

    node: Node
    server: str
    attachment: str
    information: dict[str, Any]
    device: dict[str, Any]

    @property
    def path(self) -> str:
        """The volume's block device on the host."""
        return str(self.device["path"])

    def write(self, block: int, text: str) -> None:
        """Write a text into one block, past the host's caches."""
        self.node.call("lab.guest.blocks", "write", self.path, block, text)

    def read(self, block: int) -> str:
        """Read the text of one block, past the host's caches."""
        return str(self.node.call("lab.guest.blocks", "read", self.path, block))


def attach(
    clients: Clients,
    user: str,
    node: Node,
    volume_id: str,
    mode: str = "rw",
    *,
    multipath: bool = False,
) -> Attached:
    """Attach a volume to a new server on ``node`` for a user, up to its device."""
    cinder = clients.volume(user)
    server = str(uuid.uuid4())
    reserved = reserve(cinder, volume_id, server, mode)
    with node.session() as host:
        connector = host("lab.guest.host", "properties", multipath)
        connector["mountpoint"] = "/dev/vdb"
        updated = cinder.attachments.update(reserved, connector)
        information = dict(field(updated, "connection_info"))
        device = host("lab.guest.host", "connect", information, multipath)
    cinder.attachments.complete(reserved)
    return Attached(node, server, reserved, information, device)


def attach_in_one(
    clients: Clients,
    user: str,
    node: Node,
    volume_id: str,
    mode: str | None = None,
    server: str | None = None,
) -> Attached:
    """Attach a volume with one request that has the connector, and the mode if any.

    Nova does so for a server that it migrates live.
    """
    cinder = clients.volume(user)
    server = server or str(uuid.uuid4())
    with node.session() as host:
        connector = host("lab.guest.host", "properties", False)
        made = cinder.attachments.create(volume_id, connector, server, mode)
        information = dict(field(made, "connection_info"))
        device = host("lab.guest.host", "connect", information, False)
    attachment = _id(made)
    cinder.attachments.complete(attachment)
    return Attached(node, server, attachment, information, device)


def reserve(
    cinder: Any, volume_id: str, server: str, mode: str = "rw", timeout: float = 90
) -> str:
    """Reserve an attachment and give its id.

    While another attachment of the volume is being made, Cinder refuses with status
    400: then it is tried again, as an orchestrator does, for ``timeout`` seconds.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            return _id(cinder.attachments.create(volume_id, None, server, mode))
        except exceptions.BadRequest:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def let_in(
    clients: Clients, user: str, volume_id: str, connector: dict[str, Any]
) -> tuple[str, dict[str, Any]]:
    """Attach a volume for a connector, without the host's part.

    Returns:
        the attachment's id, and the connection information.
    """
    cinder = clients.volume(user)
    reserved = reserve(cinder, volume_id, str(uuid.uuid4()))
    updated = cinder.attachments.update(
        reserved, {"mountpoint": "/dev/vdc", **connector}
    )
    cinder.attachments.complete(reserved)
    return reserved, dict(field(updated, "connection_info"))


def detach(clients: Clients, user: str, attached: Attached) -> None:
    """Disconnect the host and delete the attachment, with a service token as Nova."""
    attached.node.call(
        "lab.guest.host", "disconnect", attached.information, attached.device
    )
    clients.volume(user, "nova").attachments.delete(attached.attachment)


def field(attachment: Any, name: str) -> Any:
    """Give a field of an attachment.

    cinderclient gives it as a dict from create, as an object from the rest.
    """
    if isinstance(attachment, dict):
        return attachment[name]
    return getattr(attachment, name)


def _id(attachment: Any) -> str:
    return str(field(attachment, "id"))
