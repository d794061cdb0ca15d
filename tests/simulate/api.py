# SPDX-License-Identifier: Apache-2.0
"""Cinder's API, as far as hosts and servers need it: what its code does, in its order.

The functions of cinder/volume/api.py that each method stands for are named there. Each
call of the database is a step, so a request can be overtaken anywhere.
"""

from typing import Any

from cinder import exception
from oslo_concurrency import processutils
from oslo_db import exception as db_exception
from oslo_messaging import MessagingTimeout

from tests.simulate import rpc
from tests.simulate.model import Use
from tests.simulate.world import World

#: What a request can end with.
FAILURES = (
    exception.CinderException,
    MessagingTimeout,
    db_exception.DBError,
    processutils.ProcessExecutionError,
)


class Api:
    """The requests.

    Args:
        world: where they are made.
    """

    def __init__(self, world: World) -> None:
        self._world, self._database = world, world.database

    def reserve(self, volume: str, server: str) -> str:
        """POST /attachments without a connector, but for the mode; give the row's id.

        API._attachment_reserve.

        Raises:
            InvalidVolume: the volume's status does not let it.
        """
        instance, database = self._world.servers[server], self._database
        row = database.volume(volume)
        statuses = ("available", "in-use") if row.multiattach else "available"
        several = {"multiattach": row.multiattach, "deleted": False}
        wanted = {"status": statuses, **several}
        if not row.conditional_update({"status": "reserved"}, wanted):
            row = database.volume(volume)
            own = [one.instance_uuid for one in row.volume_attachment]
            if row.status not in ("in-use", "reserved") or instance not in own:
                raise exception.InvalidVolume(reason="its status")
        return database.reserve(volume, instance)

    def set_mode(self, attachment: str, mode: str | None) -> None:
        """Write down the mode, the last thing that POST /attachments does."""
        row = self._database.attachment(attachment)
        row.update({"attach_mode": self._mode(row.volume_id, mode or "null")})
        row.save()

    def update(self, use: Use, late: str = "") -> dict[str, Any]:
        """PUT /attachments/ID with a connector (API.attachment_update).

        Args:
            use: whose attachment.
            late: the mode, if this is a part of POST /attachments: the driver is not
                told, and the row has it with the connection_info.
        """
        row = self._database.attachment(use.attachment)
        volume = self._database.volume(use.volume)
        self._world.begin_use(use)
        use.type = volume.volume_type_id
        # What the page Limitations calls a lifted flag.
        if "readonly" in volume.admin_metadata:
            use.is_told_to_write = True
            use.may_be_cut_off |= use.state == "granted" and use.wish == "ro"

        def update(manager: Any) -> Any:
            connector = use.host.connector()
            if late:
                connector["mode"] = None
            own, context = self._database.sent(volume), self._database.request()
            return manager.attachment_update(context, own, connector, use.attachment)

        what = f"attach {use.server} on {use.host.name}"
        found: dict[str, Any] = rpc.call(self._world, what, use.volume, update, use)
        row.update({"connection_info": found})
        if late:
            row.update({"attach_mode": self._mode(use.volume, late)})
        row.save()
        return found

    def complete(self, use: Use) -> None:
        """POST /attachments/ID/action, os-complete (AttachmentsController.complete)."""
        row = self._database.attachment(use.attachment)
        volume = self._database.volume(use.volume)
        row.update({"attach_status": "attached"})
        row.save()
        volume.update({"status": "in-use", "attach_status": "attached"})
        volume.save()

    def delete(self, use: Use) -> None:
        """DELETE /attachments/ID (API.attachment_delete)."""
        row = self._database.attachment(use.attachment)
        volume = self._database.volume(use.volume)
        if row.attach_status != "reserved":

            def delete(manager: Any) -> None:
                own, context = self._database.sent(volume), self._database.request()
                manager.attachment_delete(context, use.attachment, own)

            what = f"detach {use.server} on {use.host.name}"
            rpc.call(self._world, what, use.volume, delete)
        volume.finish_detach(use.attachment)

    def _mode(self, volume: str, mode: str) -> str:
        """Give what Cinder's API writes for a mode: any flag is ``ro`` to it."""
        flag = self._database.volume(volume).admin_metadata.get("readonly")
        return "ro" if flag else mode
