# SPDX-License-Identifier: Apache-2.0
"""The driver's queries (``taikun_cinder.database``), answered from rows in memory."""

import json
from collections.abc import Callable, Collection, Iterable
from types import SimpleNamespace
from typing import Any

from taikun_cinder import database as real
from tests.simulate.rows import Row, Volume
from tests.simulate.tables import Database, Values

_ATTACHMENT = (
    "id",
    "instance_uuid",
    "attached_host",
    "attach_status",
    "attach_mode",
    "connector",
    "connection_info",
)


def _database() -> Database:
    return Row.database


def read(query: Any, **values: str) -> list[Any]:
    """Answer the query for a volume and its attachments, as the real one does.

    Raises:
        NotImplementedError: it is another.
    """
    if query is not real._OF_VOLUME:
        raise NotImplementedError(str(query))
    database = _database()
    ids = values["volume"], values["name"]
    return database.read("rows", lambda: _rows(database, *ids))


def _rows(database: Database, volume: str, name: str) -> list[Any]:
    row = database.volumes.get(volume)
    if row is None or row["deleted"]:
        return []
    attachments: list[Values | None] = [
        one
        for one in database.attachments_of(volume, name)
        if one["attach_status"] != "detached"
    ]
    return [_joined(row, attachment) for attachment in attachments or [None]]


def _joined(volume: Values, attachment: Values | None) -> Any:
    had = attachment or dict.fromkeys((*_ATTACHMENT, "created_at", "volume_id"))
    return SimpleNamespace(
        volume_id=volume["id"],
        volume_name_id=volume["_name_id"],
        volume_host=volume["host"],
        volume_status=volume["status"],
        volume_migration_status=volume["migration_status"],
        attached_id=had["volume_id"],
        created_at=had["created_at"],
        **{name: had[name] for name in _ATTACHMENT},
    )


def deleted(attachments: Collection[str]) -> frozenset[str]:
    """Give those of some attachments that are deleted."""
    rows = _database().attachments

    def work() -> frozenset[str]:
        there = (rows.get(one) for one in sorted(attachments))
        return frozenset(row["id"] for row in there if row and row["deleted"])

    return _database().read("deleted attachments", work)


def _volumes(which: Callable[[Values], bool]) -> list[real.VolumeRow]:
    rows = _database().volumes.values()
    return [
        real._volume_row(_joined(row, None))
        for row in rows
        if not row["deleted"] and which(row)
    ]


def is_deleted(name_id: str) -> bool:
    """Say whether a volume whose logical volume is named so is deleted."""
    rows = _database().volumes.values()

    def work() -> bool:
        return any(
            name_id in (row["id"], row["_name_id"]) and row["deleted"] for row in rows
        )

    return _database().read("deleted volumes", work)


def owners_of(name_id: str) -> tuple[real.VolumeRow, ...]:
    """List the volumes whose logical volume is named by an id."""

    def work() -> Iterable[real.VolumeRow]:
        return _volumes(lambda row: name_id == (row["_name_id"] or row["id"]))

    return tuple(_database().read("owners", work))


def volumes_of(host: str) -> list[real.VolumeRow]:
    """List the volumes of a back end."""
    return _database().read("volumes", lambda: _volumes(_of(host)))


def attached_volumes(host: str) -> frozenset[str]:
    """List the ids of the volumes of a back end that have an attachment."""
    database = _database()

    def work() -> frozenset[str]:
        own = {row.id for row in _volumes(_of(host))}
        rows = database.attachments_of(*own)
        return frozenset(row["volume_id"] for row in rows)

    return database.read("attached volumes", work)


def count_volumes(host: str, **having: Any) -> int:
    """Count the volumes of a back end."""

    def work() -> int:
        found = _volumes(
            lambda row: (
                _of(host)(row)
                and all(row[name] == value for name, value in having.items())
            )
        )
        return len(found)

    return _database().read("number of volumes", work)


def volume(volume_id: str) -> Volume:
    """Read a volume as Cinder has it."""
    return Volume.get_by_id(None, volume_id)


def _of(host: str) -> Callable[[Values], bool]:
    return lambda row: str(row["host"]).partition("#")[0] == host


def as_stored(value: Any) -> str:
    """Give a value as a column of JSON has it."""
    return json.dumps(value)


#: By their names in ``taikun_cinder.database``.
ANSWERS: dict[str, Callable[..., Any]] = {
    "_read": read,
    "deleted": deleted,
    "owners_of": owners_of,
    "is_deleted": is_deleted,
    "volumes_of": volumes_of,
    "attached_volumes": attached_volumes,
    "count_volumes": count_volumes,
    "volume": volume,
}
