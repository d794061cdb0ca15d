# SPDX-License-Identifier: Apache-2.0
"""Cinder's API, as far as hosts and servers need it: what its code does, in its order.

The functions of cinder/volume/api.py that each method stands for are named there. Each
call of the database is a step, so a request can be overtaken anywhere.
"""

from typing import Any

from cinder import exception
from oslo_db import exception as db_exception
from oslo_messaging import MessagingTimeout

from tests.simulate import rpc
from tests.simulate.model import Context, Use
from tests.simulate.rows import Volume, VolumeAttachment
from tests.simulate.world import World

#: What a request can end with.
FAILURES = (exception.CinderException, MessagingTimeout, db_exception.DBError)

CONTEXT = Context()


class Api:
    """The requests.

    Args:
        world: where they are made.
    """

    def __init__(self, world: World) -> None:
        self._world = world

    def reserve(self, volume: str, server: str) -> str:
        """POST /attachments without a connector, but for the mode; give the row's id.

        API._attachment_reserve.

        Raises:
            InvalidVolume: the volume's status does not let it.
        """
        world, instance = self._world, self._world.servers[server]
        row = Volume.get_by_id(CONTEXT, volume)
        wanted = {"status": ("available", "in-use"), "deleted": False}
        if not row.conditional_update({"status": "reserved"}, wanted):
            row = Volume.get_by_id(CONTEXT, volume)
            own = [one.instance_uuid for one in row.volume_attachment]
            if row.status not in ("in-use", "reserved") or instance not in own:
                raise exception.InvalidVolume(reason="its status")
        return world.database.write(
            "attachment", lambda: world.add_attachment(volume, instance)
        )

    @staticmethod
    def set_mode(attachment: str, mode: str | None) -> None:
        """Write down the mode, the last thing that POST /attachments does."""
        row = VolumeAttachment.get_by_id(CONTEXT, attachment)
        row.update({"attach_mode": mode or "null"})
        row.save()

    def update(self, use: Use, late: str = "") -> dict[str, Any]:
        """PUT /attachments/ID with a connector (API.attachment_update).

        Args:
            use: whose attachment.
            late: the mode, if this is a part of POST /attachments: the driver is not
                told, and the row has it with the connection_info.
        """
        row = VolumeAttachment.get_by_id(CONTEXT, use.attachment)
        volume = Volume.get_by_id(CONTEXT, use.volume)
        self._world.expected.begin_use(use)

        def update(manager: Any) -> Any:
            connector = use.host.connector()
            if late:
                connector["mode"] = None
            own = Volume(volume._values)
            return manager.attachment_update(CONTEXT, own, connector, use.attachment)

        what = f"attach {use.server} on {use.host.name}"
        found: dict[str, Any] = rpc.call(self._world, what, use.volume, update, use)
        row.update({"connection_info": found} | ({"attach_mode": late} if late else {}))
        row.save()
        return found

    @staticmethod
    def complete(use: Use) -> None:
        """POST /attachments/ID/action, os-complete (AttachmentsController.complete)."""
        row = VolumeAttachment.get_by_id(CONTEXT, use.attachment)
        volume = Volume.get_by_id(CONTEXT, use.volume)
        row.update({"attach_status": "attached"})
        row.save()
        volume.update({"status": "in-use", "attach_status": "attached"})
        volume.save()

    def delete(self, use: Use) -> None:
        """DELETE /attachments/ID (API.attachment_delete)."""
        row = VolumeAttachment.get_by_id(CONTEXT, use.attachment)
        volume = Volume.get_by_id(CONTEXT, use.volume)
        if row.attach_status != "reserved":

            def delete(manager: Any) -> None:
                own = Volume(volume._values)
                manager.attachment_delete(CONTEXT, use.attachment, own)

            what = f"detach {use.server} on {use.host.name}"
            rpc.call(self._world, what, use.volume, delete)
        volume.finish_detach(use.attachment)

    def force_detach(self, use: Use, connector: dict[str, Any] | None) -> None:
        """POST /volumes/ID/action, os-force_detach.

        Both calls are of one request, and neither is by force
        (AdminController._force_detach).

        Args:
            use: whose attachment.
            connector: what is given; None for nothing.
        """
        volume = Volume.get_by_id(CONTEXT, use.volume)
        self._world.requests += 1
        request = Context(f"req-{self._world.requests}")

        def terminate(manager: Any) -> None:
            given = connector and dict(connector)
            manager.terminate_connection(request.serve(), use.volume, given)

        def detach(manager: Any) -> None:
            own = Volume(volume._values)
            manager.detach_volume(request.serve(), use.volume, use.attachment, own)

        rpc.call(self._world, f"force detach {use.server}", use.volume, terminate)
        rpc.call(self._world, f"detach volume of {use.server}", use.volume, detach)

    def connect(self, use: Use) -> dict[str, Any]:
        """Connect as Cinder's own services do (cinder.volume.rpcapi)."""
        volume = Volume.get_by_id(CONTEXT, use.volume)
        self._world.expected.begin_use(use)

        def connect(manager: Any) -> Any:
            own, connector = Volume(volume._values), use.host.connector(own=True)
            return manager.initialize_connection(CONTEXT, own, connector)

        what = f"connect {use.host.name}"
        found = rpc.call(self._world, what, use.volume, connect, use)
        data: dict[str, Any] = found["data"]
        return {**data, "access_mode": found["access_mode"]}

    def disconnect(self, use: Use) -> None:
        """End such a connection."""

        def terminate(manager: Any) -> None:
            connector = use.host.connector(own=True)
            manager.terminate_connection(CONTEXT, use.volume, connector)

        rpc.call(self._world, f"disconnect {use.host.name}", use.volume, terminate)
