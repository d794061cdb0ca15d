# SPDX-License-Identifier: Apache-2.0
"""Cinder's old API, whose requests are actions of a volume, and know no attachment.

A host is let in before there is an attachment, and that names no host. The functions
of cinder/volume/api.py that each method stands for are named there.
"""

from typing import Any

from cinder import exception

from tests.simulate import rpc
from tests.simulate.model import Use
from tests.simulate.tables import Values
from tests.simulate.world import World


class OldApi:
    """The requests.

    Args:
        world: where they are made.
    """

    def __init__(self, world: World) -> None:
        self._world, self._database = world, world.database

    def reserve(self, volume: str) -> None:
        """Action os-reserve (API.reserve_volume).

        Raises:
            InvalidVolume: the volume's status does not let it.
        """
        row = self._database.volume(volume)
        statuses = ("available", "in-use") if row.multiattach else "available"
        several = {"multiattach": row.multiattach, "deleted": False}
        wanted = {"status": statuses, **several}
        if not row.conditional_update({"status": "attaching"}, wanted):
            raise exception.InvalidVolume(reason="its status")

    def unreserve(self, volume: str) -> None:
        """Action os-unreserve (API.unreserve_volume)."""
        self._database.unreserve(volume)

    def begin_detaching(self, volume: str) -> None:
        """Action os-begin_detaching (API.begin_detaching).

        Raises:
            InvalidVolume: the volume's status does not let it.
        """
        row = self._database.volume(volume)
        wanted = {"status": "in-use", "attach_status": "attached"}
        if not row.conditional_update({"status": "detaching"}, wanted):
            raise exception.InvalidVolume(reason="its status")

    def roll_detaching(self, volume: str) -> None:
        """Action os-roll_detaching (API.roll_detaching)."""
        row = self._database.volume(volume)
        row.conditional_update({"status": "in-use"}, {"status": "detaching"})

    def connect(self, use: Use, *, own: bool = False) -> dict[str, Any]:
        """Action os-initialize_connection (API.initialize_connection).

        Args:
            use: whose host is to be let in.
            own: whether Cinder itself asks, by RPC.
        """
        volume = self._database.volume(use.volume)
        self._world.begin_use(use)
        use.is_unknown |= use.is_old and volume.status == "available"

        def connect(manager: Any) -> Any:
            row, connector = self._database.sent(volume), use.host.connector(own=own)
            context = self._database.request()
            return manager.initialize_connection(context, row, connector)

        what = f"connect {use.host.name}"
        found = rpc.call(self._world, what, use.volume, connect, use)
        data: dict[str, Any] = found["data"]
        return {**data, "access_mode": found["access_mode"]}

    def attach(self, use: Use) -> None:
        """Action os-attach, of a connection that is there (API.attach)."""
        volume = self._database.volume(use.volume)
        if "readonly" not in volume.admin_metadata:
            volume.admin_metadata_update({"readonly": "False"}, delete=False)
        server = self._world.servers[use.server]

        def attach(manager: Any) -> None:
            own = self._database.sent(volume)
            row = use.volume, server, None, "/dev/sdb", use.wish, own
            manager.attach_volume(self._database.request(), *row)

        try:
            rpc.call(self._world, f"os-attach {use.server}", use.volume, attach)
        finally:
            use.attachment = self._attachment_of(use.volume, server)

    def _attachment_of(self, volume: str, server: str) -> str:
        """Give the id of a server's attachment, as the volume shows it."""
        rows = self._database.attachments_of(volume)
        own = (row["id"] for row in rows if row["instance_uuid"] == server)
        return next(own, "")

    def terminate(
        self,
        volume: str,
        what: str,
        connector: Values | None,
        request: Any = None,
    ) -> None:
        """Action os-terminate_connection (API.terminate_connection).

        Args:
            volume: its id.
            what: it is, in words.
            connector: of the host; None for all.
            request: that it is a part of; None if it is one itself.
        """
        request = request or self._request()

        def terminate(manager: Any) -> None:
            given = dict(connector) if connector else None
            manager.terminate_connection(request.serve(), volume, given)

        rpc.call(self._world, what, volume, terminate)
        self.unreserve(volume)

    def disconnect(self, use: Use) -> None:
        """End a connection of Cinder's own, which is made by RPC, by force."""

        def terminate(manager: Any) -> None:
            row = use.volume, use.host.connector(own=True)
            manager.terminate_connection(self._database.request(), *row, force=True)

        rpc.call(self._world, f"disconnect {use.host.name}", use.volume, terminate)

    def detach(self, use: Use, request: Any = None) -> None:
        """Action os-detach (API.detach); for the arguments, see :meth:`terminate`."""
        request = request or self._request()
        volume = self._database.volume(use.volume)

        def detach(manager: Any) -> None:
            own = self._database.sent(volume)
            manager.detach_volume(request.serve(), use.volume, use.attachment, own)

        rpc.call(self._world, f"os-detach {use.server}", use.volume, detach)

    def force_detach(self, use: Use, connector: Values | None) -> None:
        """Action os-force_detach (VolumeAdminController._force_detach).

        Both calls are of one request, and neither is by force.

        Args:
            use: whose attachment.
            connector: what is given; None for nothing.
        """
        what, request = f"force detach {use.server}", self._request()
        self.terminate(use.volume, what, connector, request)
        self.detach(use, request)

    def _request(self) -> Any:
        self._world.requests += 1
        return self._database.request(f"req-{self._world.requests}")
