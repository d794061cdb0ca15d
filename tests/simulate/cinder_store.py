# SPDX-License-Identifier: Apache-2.0
"""Cinder's own database and objects over SQLite (``stores.Store``).

There is one database in a process, in memory, with one connection. A run begins with
a copy of it that has the schema and the volume types.
"""

import datetime
import functools
import sqlite3
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

from cinder import context, objects
from cinder.common import constants
from cinder.db import utils as db_utils
from cinder.objects.base import CinderObjectSerializer
from oslo_db import api as oslo_db_api
from oslo_utils import timeutils

from taikun_cinder.cinder_db import api as db
from tests.simulate import patches, stores, transactions
from tests.simulate.live import Table
from tests.simulate.model import REQUEST
from tests.simulate.schedule import Scheduler
from tests.simulate.tables import Values, made_id
from tests.simulate.transactions import Transaction
from tests.simulate.types import SPECS

#: The type that Cinder gives volumes without one.
_DEFAULT = "__DEFAULT__"

#: What tells one request from another in what is sent.
_SERIALIZER = CinderObjectSerializer()


class _Context(context.RequestContext):
    """The context of a request."""

    def serve(self) -> "_Context":
        """Let the actor that calls this work for the request."""
        REQUEST.set(self.request_id)
        return self


class _Clock:
    """What oslo.utils takes for a list of times: always that of the run."""

    def pop(self, _index: int) -> datetime.datetime:
        moment = datetime.datetime.fromtimestamp(patches.TIME.time(), datetime.UTC)
        # As MariaDB keeps it: more than one row may be of the same second.
        return moment.replace(tzinfo=None, microsecond=0)


class CinderStore:
    """The database, and Cinder's objects of it.

    Args:
        scheduler: has the turns.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        stores.put(real=True)
        connection, empty = _databases()
        Transaction.scheduler, self.api = None, db
        empty.backup(connection)
        self._made = 0
        vars(db)["uuid"] = SimpleNamespace(uuid4=self._make_id)
        self.volumes = Table(connection, "volumes")
        self.attachments = Table(connection, "volume_attachment")
        self.services = Table(connection, "services", "host")
        self.migrations: dict[str, str] = {}
        self._connection, self._changes = connection, connection.total_changes
        Transaction.scheduler, Transaction.ended = scheduler, self._look

    def _make_id(self) -> str:
        self._made += 1
        return made_id(f"row {self._made}")

    def _look(self) -> None:
        """See what a transaction has changed."""
        if self._changes == (changes := self._connection.total_changes):
            return
        self._changes = changes
        for table in (self.volumes, self.attachments, self.services):
            table.refresh()
        for id_, row in self.volumes.items():
            if (status := str(row["migration_status"])).startswith("target:"):
                self.migrations.setdefault(id_, status.removeprefix("target:"))

    def attachments_of(self, *volumes: str) -> list[Values]:
        """Give those that are not deleted, oldest first."""
        rows = (row for row in self.attachments.values() if not row["deleted"])
        return [row for row in rows if row["volume_id"] in volumes]

    def nameless(self, volume: str) -> int:
        """Say how many attachments are in use, and name no host."""
        rows = (row for row in self.attachments_of(volume) if not row["connector"])
        return sum(row["attach_status"] == "attached" for row in rows)

    def make_volume(self, id_: str, host: str) -> None:
        """Let there be a volume, available and of Cinder's default type."""
        self.volumes.add(
            {
                **_new(),
                "id": id_,
                "size": 1,
                "host": host,
                "status": "available",
                "attach_status": "detached",
                "user_id": "user",
                "project_id": "project",
                "volume_type_id": _DEFAULT,
                "multiattach": True,
                "shared_targets": True,
                "service_uuid": "service",
                "bootable": False,
                "availability_zone": "nova",
                "use_quota": False,
            }
        )

    def add_service(self, host: str, uuid: str) -> None:
        """Let there be a service of a back end."""
        named = {"host": host, "uuid": uuid, "binary": constants.VOLUME_BINARY}
        more = {"topic": "cinder-volume", "report_count": 0, "disabled": False}
        row = {**_new(), **named, **more, "availability_zone": "nova"}
        self.services.add(row)

    def lose_attachment(self, id_: str) -> Values | None:
        """Take a row out; give it, or None if there is none."""
        return self.attachments.remove(id_)

    def lose_services(self) -> dict[str, Values]:
        """Take the rows of all services out; give them by their hosts."""
        lost = {host: dict(row) for host, row in self.services.items()}
        for host in lost:
            self.services.remove(host)
        return lost

    def find(self, attachments: Iterable[Values], services: Iterable[Values]) -> None:
        """Bring back rows that were taken out."""
        for row in attachments:
            self.attachments.add(row)
        for row in services:
            self.services.remove(row["host"])
            # A renamed service may have taken its number meanwhile.
            self.services.add({**row, "id": None})

    def seen(self, id_: str) -> Any:
        """Give a volume's object as its row is now, as one who has just read it."""
        steps, Transaction.scheduler = Transaction.scheduler, None
        try:
            return self.volume(id_)
        finally:
            Transaction.scheduler = steps

    def request(self, id_: str = "") -> _Context:
        """Give the context of a request."""
        return _Context(
            user_id="user",
            project_id="project",
            is_admin=True,
            request_id=id_ or "req-0",
            overwrite=False,
        )

    def volume(self, id_: str) -> Any:
        """Read a volume."""
        return objects.Volume.get_by_id(self.request(), id_)

    def attachment(self, id_: str) -> Any:
        """Read an attachment."""
        return objects.VolumeAttachment.get_by_id(self.request(), id_)

    def sent(self, volume: Any) -> Any:
        """Give what another service gets of a volume that is sent to it."""
        request = self.request()
        found = _SERIALIZER.serialize_entity(request, volume)
        return _SERIALIZER.deserialize_entity(request, found)

    def reserve(self, volume: str, server: str) -> str:
        """Make an attachment that has no connector; give its id."""
        values = {"attach_status": "reserved", "instance_uuid": server}
        row = db.volume_attach(self.request(), {"volume_id": volume, **values})
        return str(row["id"])

    def unreserve(self, volume: str) -> None:
        """Give a volume that is being attached its status back."""
        attached = [(db.volume_has_attachments_filter(), "in-use")]
        status = db_utils.Case(attached, else_="available")
        self.volume(volume).conditional_update(
            {"status": status}, {"status": "attaching"}
        )

    def destroy(self, volume: str) -> None:
        """Mark a volume as deleted."""
        db.volume_destroy(self.request(), volume)


def _new() -> Values:
    return {"created_at": str(timeutils.utcnow()), "deleted": False}


@functools.cache
def _databases() -> tuple[sqlite3.Connection, sqlite3.Connection]:
    """Give the connection of the database, and one of what a run begins with."""
    # It does again what met a deadlock, after a while that is left to chance.
    vars(oslo_db_api)["time"] = patches.TIME
    vars(oslo_db_api)["random"] = SimpleNamespace(uniform=lambda _low, high: high)
    timeutils.set_time_override(_Clock())  # type: ignore[arg-type]
    transactions.install()
    connection: Any = db.get_engine().raw_connection().driver_connection
    types, specs = Table(connection, "volume_types"), "volume_type_extra_specs"
    for id_ in (_DEFAULT, *SPECS):
        types.add({**_new(), "id": id_, "name": id_, "is_public": True})
        for key, value in SPECS.get(id_, {}).items():
            row = {"volume_type_id": id_, "key": key, "value": value}
            Table(connection, specs).add({**_new(), **row})
    empty = sqlite3.connect(":memory:")
    connection.backup(empty)
    return connection, empty
