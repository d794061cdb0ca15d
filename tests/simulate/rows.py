# SPDX-License-Identifier: Apache-2.0
"""Cinder's objects over the tables in memory.

Cinder's own take 20 ms for an attach. What the manager and the driver use of them is
here, with the same meaning.
"""

import contextlib
import json
from collections.abc import Iterator, KeysView, Mapping
from types import SimpleNamespace
from typing import Any, ClassVar, Self

from cinder import exception

from tests.simulate.tables import Database, Values
from tests.simulate.types import VolumeType

#: What a migration leaves where it is, of what is here (finish_volume_migration).
_NOT_SWAPPED = {"id", "provider_location", "use_quota", "deleted"}

#: How Cinder stores these; in objects they are what they say.
_JSON = ("connector", "connection_info")


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
        # As in Cinder's objects, what stays the same is not written again.
        if name not in self._values or self._values[name] != value:
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

    def keys(self) -> KeysView[str]:
        """Give the names of what it has."""
        return self._values.keys()

    def copy(self) -> "Self":
        """Give what another service gets of it."""
        made = type(self)(self._values)
        made._changed.update(self._changed)
        return made

    def save(self) -> None:
        if not self._changed:
            return
        changed = {name: self._values[name] for name in sorted(self._changed)}
        for name in _JSON:
            if name in changed:
                changed[name] = json.dumps(changed[name])
        names = ", ".join(changed)
        self.database.write(names, lambda: self._row().update(changed))
        self._changed.clear()

    def refresh(self) -> None:
        values = self.database.read(type(self).__name__, lambda: dict(self._row()))
        self.__dict__.clear()
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

    def finish_attach(
        self, server: str | None, host: str | None, mountpoint: str, mode: str
    ) -> "Volume":
        place = server, host or "", mountpoint, mode
        self.database.volume_attached(None, self.id, *place)
        return Volume(self.database.volume(self.volume_id))

    def _row(self) -> Values:
        return self.database.attachment(self.id)


class VolumeAttachmentList:
    """As cinder.objects has it."""

    @staticmethod
    def get_all_by_instance_uuid(_context: Any, server: str) -> list[VolumeAttachment]:
        database = Row.database

        def work() -> list[VolumeAttachment]:
            rows = database.attachments.values()
            own = (row for row in rows if row["instance_uuid"] == server)
            return [VolumeAttachment(row) for row in own if not row["deleted"]]

        return database.read("attachments of a server", work)

    @staticmethod
    def get_all_by_volume_id(_context: Any, volume: str) -> list[VolumeAttachment]:
        database = Row.database
        rows = database.read("attachments", lambda: database.attachments_of(volume))
        return [VolumeAttachment(row) for row in rows]


class Volume(Row):
    """As cinder.objects has it.

    Args:
        values: of its row; None for a new one, of which they are given by name.
    """

    def __init__(
        self,
        values: Mapping[str, Any] | None = None,
        *,
        context: Any = None,
        **named: Any,
    ) -> None:
        super().__init__(named if values is None else values)

    def create(self) -> None:
        """Make its row."""

        def work() -> Values:
            row = {**self._values, "deleted": False}
            return self.database.add_volume({"_name_id": None, **row})

        self._values.update(self.database.write("new volume", work))
        self._changed.clear()

    def destroy(self) -> None:
        """Mark its row as deleted."""
        self.database.write("deleted", lambda: self._row().update(deleted=True))
        self._values["deleted"] = True

    def finish_volume_migration(self, destination: "Volume") -> "Volume":
        """Do what cinder.objects does: let the two rows change their places."""
        for key in sorted(destination.keys() - _NOT_SWAPPED):
            value, given = destination[key], self[key]
            if key == "_name_id":
                if not destination._name_id:
                    destination._name_id = self.id
                continue
            if key == "volume_type_id":
                self.volume_type_id = value
                continue
            if key == "migration_status":
                value, given = None, "deleting"
            elif key == "status":
                given = "deleting"
            setattr(self, key, value)
            setattr(destination, key, given)
        self.save()
        destination.save()
        return destination

    def is_migration_target(self) -> bool:
        return (self.migration_status or "").startswith("target:")

    def obj_name(self) -> str:
        return "Volume"

    @property
    def service_topic_queue(self) -> str:
        return str(self._values["host"])

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
    def volume_type(self) -> VolumeType | None:
        type_ = self._values["volume_type_id"]
        return VolumeType(type_) if type_ else None

    @property
    def snapshots(self) -> list[Any]:
        return []

    @property
    def admin_metadata(self) -> dict[str, str]:
        found: dict[str, str] = self._values["admin_metadata"]
        return found

    def copy(self) -> Self:
        made = super().copy()
        rows = self.database.attachments_of(self.id)
        made.__dict__.update(_attached=[VolumeAttachment(row) for row in rows])
        return made

    @property
    def volume_attachment(self) -> list[VolumeAttachment]:
        """Those that it was sent with, or else those that there are."""
        if "_attached" in self.__dict__:
            found: list[VolumeAttachment] = self.__dict__["_attached"]
            return found
        database, id_ = self.database, self.id
        rows = database.read("attachments", lambda: database.attachments_of(id_))
        return [VolumeAttachment(row) for row in rows]

    def obj_attr_is_set(self, name: str) -> bool:
        sent = name == "volume_attachment" and "_attached" in self.__dict__
        return sent or name in self._values

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

    def begin_attach(self, mode: str) -> VolumeAttachment:
        database, volume = self.database, self.id
        id_ = database.write(
            "attachment", lambda: database.add_attachment(volume, None, "attaching")
        )
        metadata = {**self.admin_metadata, "attached_mode": mode}
        self.admin_metadata_update(metadata, delete=True)
        return VolumeAttachment.get_by_id(None, id_)

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
    Volume=Volume,
    SnapshotList=SimpleNamespace(get_all_for_volume=lambda context, volume: []),
    VolumeAttachment=VolumeAttachment,
    VolumeType=VolumeType,
    Service=Service,
)
