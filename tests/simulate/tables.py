# SPDX-License-Identifier: Apache-2.0
"""The tables of Cinder's database, in memory.

Each transaction is a step that can fail, or be done though its caller is told that it
failed.
"""

import dataclasses
import uuid
from collections.abc import Callable
from typing import Any, TypeVar

from cinder import exception
from oslo_db import exception as db_exception

from tests.simulate.schedule import Scheduler

R = TypeVar("R")

Values = dict[str, Any]

#: The status of a volume by that of its attachments (ATTACH_STATUS_MAP of cinder.db).
_STATUSES = {"attached": "in-use", "detached": "available"}


@dataclasses.dataclass
class Database:
    """The rows.

    Attributes:
        scheduler: has the turns.
        volumes: by id, also those that are deleted.
        attachments: the same of attachments, oldest first.
        services: by their host.
        migrations: by the volume that a migration has made, the one that migrates.
    """

    scheduler: Scheduler
    volumes: dict[str, Values] = dataclasses.field(default_factory=dict)
    attachments: dict[str, Values] = dataclasses.field(default_factory=dict)
    services: dict[str, Values] = dataclasses.field(default_factory=dict)
    migrations: dict[str, str] = dataclasses.field(default_factory=dict)
    _made: int = 0
    _migrated: int = 0

    def add_attachment(self, volume: str, server: str | None, status: str) -> str:
        """Make the row of an attachment that has no connector; give its id."""
        self._made += 1
        id_ = made_id(f"attachment {self._made}")
        self.attachments[id_] = {
            "id": id_,
            "volume_id": volume,
            "attach_status": status,
            "instance_uuid": server,
            "attached_host": None,
            "attach_mode": None,
            "connector": None,
            "connection_info": None,
            "created_at": f"{self._made:08d}",
            "deleted": False,
        }
        return id_

    def add_volume(self, values: Values) -> Values:
        """Make the row of a volume that another one is migrated by; give it."""
        self._migrated += 1
        id_ = made_id(f"migration {self._migrated}")
        self.volumes[id_] = {**values, "id": id_}
        status = str(values["migration_status"])
        self.migrations[id_] = status.removeprefix("target:")
        return self.volumes[id_]

    def read(self, what: str, work: Callable[[], R]) -> R:
        """Make a transaction that reads."""
        if self.scheduler.step(f"db: read {what}", ("down",)):
            raise db_exception.DBConnectionError
        return work()

    def write(self, what: str, work: Callable[[], R]) -> R:
        """Make a transaction that writes."""
        way = self.scheduler.step(f"db: write {what}", ("down", "unanswered"))
        if way == "down":
            raise db_exception.DBConnectionError
        done = work()
        if way == "unanswered":
            raise db_exception.DBConnectionError
        return done

    def attachments_of(self, *volumes: str) -> list[Values]:
        """Give those that are not deleted, oldest first."""
        return [
            row
            for row in self.attachments.values()
            if not row["deleted"] and row["volume_id"] in volumes
        ]

    def nameless(self, volume: str) -> int:
        """Say how many attachments are in use, and name no host."""
        rows = (row for row in self.attachments_of(volume) if not row["connector"])
        return sum(row["attach_status"] == "attached" for row in rows)

    def attachment(self, id_: str) -> Values:
        """Give an attachment's row.

        Raises:
            VolumeAttachmentNotFound: there is none.
        """
        row = self.attachments.get(id_)
        if row is None or row["deleted"]:
            raise exception.VolumeAttachmentNotFound(filter=id_)
        return row

    def volume(self, id_: str) -> Values:
        """Give a volume's row.

        Raises:
            VolumeNotFound: there is none.
        """
        row = self.volumes.get(id_)
        if row is None or row["deleted"]:
            raise exception.VolumeNotFound(volume_id=id_)
        return row

    # What follows has the names that they have in cinder.db.

    def volume_attachment_update(self, _context: Any, id_: str, values: Values) -> None:
        """Update a row."""
        self.write("attachment", lambda: self.attachment(id_).update(values))

    def volume_update(self, _context: Any, id_: str, values: Values) -> None:
        """Update a row."""
        self.write("volume", lambda: self.volume(id_).update(values))

    def volume_attached(
        self,
        _context: Any,
        id_: str,
        instance: str | None,
        host: str,
        mountpoint: str,
        mode: str = "rw",
        mark_attached: bool = True,
    ) -> None:
        """Mark an attachment, and its volume."""

        def work() -> None:
            row = self.attachment(id_)
            status = "attached" if mark_attached else "attaching"
            row.update(
                attach_status=status,
                attached_host=host,
                attach_mode=mode,
                instance_uuid=instance,
            )
            volume = self.volume(row["volume_id"])
            volume["status"] = "in-use" if mark_attached else "attaching"
            volume["attach_status"] = status

        self.write("attached", work)

    def volume_detached(self, volume_id: str, id_: str) -> Values:
        """Delete an attachment, and give its volume a status by those that are left."""

        def work() -> Values:
            volume = self.volume(volume_id)
            row = self.attachments.get(id_)
            if row is not None:
                row.update(deleted=True, attach_status="detached")
            left = sorted(
                one["attach_status"]
                for one in self.attachments_of(volume_id)
                if not one["attach_status"].startswith("error_")
            )
            attach_status = left[0] if left else "detached"
            volume["attach_status"] = attach_status
            migrates = volume["migration_status"] not in (None, "success", "error")
            if attach_status != "detached" or not migrates:
                volume["status"] = _STATUSES.get(attach_status, attach_status)
            metadata = dict(volume["admin_metadata"])
            metadata.pop("attached_mode", None)
            volume["admin_metadata"] = metadata
            names = "status", "attach_status", "admin_metadata"
            return {one: volume[one] for one in names}

        return self.write("detached", work)


def made_id(name: str) -> str:
    """Give an id that is the same in each run."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, name))
