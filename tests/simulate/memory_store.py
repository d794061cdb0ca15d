# SPDX-License-Identifier: Apache-2.0
"""Rows in memory as Cinder's database (``stores.Store``)."""

from collections.abc import Iterable
from typing import Any

from tests.simulate import stores
from tests.simulate.model import Context
from tests.simulate.rows import Row, Volume, VolumeAttachment
from tests.simulate.schedule import Scheduler
from tests.simulate.tables import Database, Values

_CONTEXT = Context()


class _Api(Database):
    """What a manager has as its ``db``."""

    def volume_get(self, _context: Any, id_: str) -> Volume:
        """Give a volume."""
        return Volume.get_by_id(None, id_)


class MemoryStore:
    """The rows, and Cinder's objects of them.

    Args:
        scheduler: has the turns.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        stores.put(real=False)
        self.api = Row.database = _Api(scheduler)
        self.volumes, self.services = self.api.volumes, self.api.services
        self.migrations = self.api.migrations
        self.attachments_of, self.nameless = self.api.attachments_of, self.api.nameless

    @property
    def attachments(self) -> dict[str, Values]:
        """The rows of attachments, by their ids."""
        return self.api.attachments

    def make_volume(self, id_: str, host: str) -> None:
        """Let there be a volume, available and without a type."""
        self.volumes[id_] = {
            "id": id_,
            "_name_id": None,
            "size": 1,
            "host": host,
            "status": "available",
            "attach_status": "detached",
            "previous_status": None,
            "migration_status": None,
            "project_id": "project",
            "volume_type_id": None,
            "multiattach": True,
            "admin_metadata": {},
            "encryption_key_id": None,
            "provider_location": None,
            "shared_targets": True,
            "service_uuid": "service",
            "bootable": False,
            "replication_status": None,
            "availability_zone": "nova",
            "cluster_name": None,
            "snapshot_id": None,
            "source_volid": None,
            "use_quota": False,
            "deleted": False,
        }

    def add_service(self, host: str, uuid: str) -> None:
        """Let there be a service of a back end."""
        row = {"host": host, "uuid": uuid, "availability_zone": "nova"}
        self.services[host] = row

    def lose_attachment(self, id_: str) -> Values | None:
        """Take a row out; give it, or None if there is none."""
        return self.api.attachments.pop(id_, None)

    def lose_services(self) -> dict[str, Values]:
        """Take the rows of all services out; give them by their hosts."""
        lost = dict(self.services)
        self.services.clear()
        return lost

    def find(self, attachments: Iterable[Values], services: Iterable[Values]) -> None:
        """Bring back rows that were taken out."""
        rows = [*self.attachments.values(), *attachments]
        # As they came to be, which is the order of their names here.
        rows.sort(key=lambda row: str(row["created_at"]))
        self.api.attachments = {row["id"]: row for row in rows}
        self.services.update({row["host"]: row for row in services})

    def seen(self, id_: str) -> Volume:
        """Give a volume's object as its row is now, as one who has just read it."""
        return Volume(self.volumes[id_])

    def request(self, id_: str = "") -> Context:
        """Give the context of a request."""
        return Context(id_) if id_ else _CONTEXT

    def volume(self, id_: str) -> Volume:
        """Read a volume."""
        return Volume.get_by_id(None, id_)

    def attachment(self, id_: str) -> VolumeAttachment:
        """Read an attachment."""
        return VolumeAttachment.get_by_id(None, id_)

    def sent(self, volume: Volume) -> Volume:
        """Give what another service gets of a volume that is sent to it."""
        return volume.copy()

    def reserve(self, volume: str, server: str) -> str:
        """Make an attachment that has no connector; give its id."""
        api = self.api
        return api.write(
            "attachment", lambda: api.add_attachment(volume, server, "reserved")
        )

    def unreserve(self, volume: str) -> None:
        """Give a volume that is being attached its status back."""

        def work() -> None:
            row = self.api.volume(volume)
            if row["status"] == "attaching":
                has = self.attachments_of(volume)
                row["status"] = "in-use" if has else "available"

        self.api.write("unreserve", work)

    def destroy(self, volume: str) -> None:
        """Mark a volume as deleted."""
        self.api.write("deleted", lambda: self.volumes[volume].update(deleted=True))
