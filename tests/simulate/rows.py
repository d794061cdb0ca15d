# SPDX-License-Identifier: Apache-2.0
"""Cinder's database in memory, and Cinder's objects over it.

Cinder's own take 20 ms for an attach. What the manager and the driver use of them is
here, with the same meaning; each transaction is a step that can fail, or be done though
its caller is told that it failed.
"""

import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any, ClassVar, TypeVar

from cinder import exception
from oslo_db import exception as db_exception

from tests.simulate.schedule import Scheduler

R = TypeVar("R")

Values = dict[str, Any]

#: How Cinder stores these; in objects they are what they say.
_JSON = ("connector", "connection_info")

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
    """

    scheduler: Scheduler
    volumes: dict[str, Values] = dataclasses.field(default_factory=dict)
    attachments: dict[str, Values] = dataclasses.field(default_factory=dict)
    services: dict[str, Values] = dataclasses.field(default_factory=dict)

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
            if attach_status != "detached" or not volume["migration_status"]:
                volume["status"] = _STATUSES.get(attach_status, attach_status)
            return {one: volume[one] for one in ("status", "attach_status")}

        return self.write("detached", work)


class Row:
    """An object of Cinder's: what a row had when it was read, and what was changed."""

    #: The database of the run under way.
    database: ClassVar[Database]

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.__dict__.update(_values=dict(values), _changed=set())

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["_values"][name]
        except KeyError:
            raise AttributeError(name) from None

    def __setattr__(self, name: str, value: Any) -> None:
        self._values[name] = value
        self._changed.add(name)

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name)

    def get(self, name: str, default: Any = None) -> Any:
        return getattr(self, name, default)

    def update(self, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            setattr(self, name, value)

    def _row(self) -> Values:
        raise NotImplementedError

    def save(self) -> None:
        changed = {name: self._values[name] for name in sorted(self._changed)}
        for name in _JSON:
            if name in changed:
                changed[name] = json.dumps(changed[name])
        names = ", ".join(changed)
        self.database.write(names, lambda: self._row().update(changed))
        self._changed.clear()

    def refresh(self) -> None:
        values = self.database.read(type(self).__name__, lambda: dict(self._row()))
        self.__dict__.update(_values=values, _changed=set())


class VolumeAttachment(Row):
    """As cinder.objects has it."""

    @classmethod
    def get_by_id(cls, _context: Any, id_: str) -> "VolumeAttachment":
        database = cls.database
        return cls(database.read("attachment", lambda: dict(database.attachment(id_))))

    @property
    def connector(self) -> Any:
        return json.loads(self._values["connector"] or "{}")

    def _row(self) -> Values:
        return self.database.attachment(self.id)


class Volume(Row):
    """As cinder.objects has it."""

    @classmethod
    def get_by_id(cls, _context: Any, id_: str) -> "Volume":
        database = cls.database
        return cls(database.read("volume", lambda: dict(database.volume(id_))))

    @property
    def name_id(self) -> str:
        return str(self._values["_name_id"] or self._values["id"])

    @property
    def name(self) -> str:
        return f"volume-{self.name_id}"

    @property
    def admin_metadata(self) -> dict[str, str]:
        found: dict[str, str] = self._values["admin_metadata"]
        return found

    @property
    def volume_attachment(self) -> list[VolumeAttachment]:
        database, id_ = self.database, self.id
        rows = database.read("attachments", lambda: database.attachments_of(id_))
        return [VolumeAttachment(row) for row in rows]

    def obj_attr_is_set(self, name: str) -> bool:
        return name in self._values

    @contextlib.contextmanager
    def obj_as_admin(self) -> Iterator[None]:
        yield

    def admin_metadata_update(self, values: dict[str, str], delete: bool) -> None:
        def work() -> dict[str, str]:
            row = self._row()
            rest = {} if delete else row["admin_metadata"]
            row["admin_metadata"] = {**rest, **values}
            return dict(row["admin_metadata"])

        self._values["admin_metadata"] = self.database.write("admin metadata", work)

    def conditional_update(self, values: Values, expected: Mapping[str, Any]) -> bool:
        def work() -> bool:
            row = self._row()
            for name, wanted in expected.items():
                if row[name] not in (wanted if isinstance(wanted, tuple) else [wanted]):
                    return False
            row.update(values)
            return True

        done = self.database.write(f"{values} if {expected}", work)
        if done:
            self._values.update(values)
        return done

    def finish_detach(self, id_: str) -> None:
        self._values.update(self.database.volume_detached(self.id, id_))

    def _row(self) -> Values:
        return self.database.volume(self.id)


class Service(Row):
    """As cinder.objects has it."""

    @classmethod
    def get_by_args(cls, _context: Any, host: str, _binary: str) -> "Service":
        def work() -> Values:
            if host not in cls.database.services:
                raise exception.ServiceNotFound(service_id=host)
            return cls.database.services[host]

        return cls(cls.database.read("service", work))


#: What stands for cinder.objects.
objects = SimpleNamespace(
    Volume=Volume, VolumeAttachment=VolumeAttachment, Service=Service
)
