# SPDX-License-Identifier: Apache-2.0
"""Attachments and volumes in Cinder's database, always read afresh.

No other module of the volume service talks to the database.
"""

import dataclasses
import re
import threading
from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy
import sqlalchemy.exc
from cinder import context, exception, objects
from cinder.common import constants
from cinder.objects.fields import VolumeAttachStatus
from oslo_config import cfg
from oslo_db import exception as db_exception
from oslo_log import log as logging

from taikun_cinder import attachment_rows, words
from taikun_cinder.access.attachment import Attachment
from taikun_cinder.cinder_db import api as db
from taikun_cinder.cinder_db import models
from taikun_cinder.exception import VolumeRowDamaged
from taikun_cinder.targets.base import Target

LOG = logging.getLogger(__name__)

# Cinder's services do it at their start, and commands have nobody else who does.
objects.register_all()

#: The admin metadata of a volume that all hosts may only read.
READONLY = "readonly"

_TABLE, _VOLUMES = models.VolumeAttachment, models.Volume

_COUNTS = sqlalchemy.and_(
    _TABLE.deleted == sqlalchemy.false(),
    _TABLE.attach_status != VolumeAttachStatus.DETACHED,
)

_AS_VOLUME = (
    _VOLUMES.id.label("volume_id"),
    _VOLUMES._name_id.label("volume_name_id"),
    _VOLUMES.host.label("volume_host"),
    _VOLUMES.status.label("volume_status"),
    _VOLUMES.migration_status.label("volume_migration_status"),
)

#: What a read of a database that cannot be read ends with.
_DOWN = (
    db_exception.DBError,
    db_exception.CantStartEngineError,
    sqlalchemy.exc.SQLAlchemyError,
)

#: What SQLAlchemy adds to an error, behind what the database says.
_BESIDE = re.compile(r" \[SQL: | \(Background on this error")

#: What ``attachment_rows`` reads.
_AS_ATTACHMENT = (
    _TABLE.id,
    _TABLE.volume_id.label("attached_id"),
    _TABLE.instance_uuid,
    _TABLE.attached_host,
    _TABLE.attach_status,
    _TABLE.attach_mode,
    _TABLE.connector,
    _TABLE.connection_info,
)

#: A volume, and the attachments that may be of its export. A migration of a volume in
#: use ends with the destination's attachments under the destination's id, and the
#: volume's own row with its name (manager.migrate_volume_completion).
_OF_VOLUME = (
    sqlalchemy.select(
        *_AS_VOLUME,
        *_AS_ATTACHMENT,
        _TABLE.created_at,
    )
    .outerjoin(
        _TABLE,
        sqlalchemy.and_(
            _COUNTS,
            _TABLE.volume_id.in_(
                (sqlalchemy.bindparam("volume"), sqlalchemy.bindparam("name"))
            ),
        ),
    )
    .where(
        _VOLUMES.deleted == sqlalchemy.false(),
        _VOLUMES.id == sqlalchemy.bindparam("volume"),
    )
)


@dataclasses.dataclass(frozen=True)
class VolumeRow:
    """A volume as its row says now.

    Attributes:
        id: of the volume.
        name_id: what its logical volume and its target are named by.
        host: its back end's, as ``node@backend``.
        status: of the volume.
        migration_status: the same; None for none.
    """

    id: str
    name_id: str
    host: str
    status: str
    migration_status: str | None = None

    @property
    def is_left_over(self) -> bool:
        """Whether nobody is to have it: it is a migration's copy or source, or goes.

        A source keeps its migration status, whatever becomes of its status.
        """
        migration = str(self.migration_status)
        return (
            migration == "deleting"
            or migration.startswith("target:")
            or self.status in ("deleting", "error_deleting")
        )

    @property
    def name(self) -> str:
        """The name of its logical volume."""
        return str(cfg.CONF.volume_name_template % self.name_id)

    def __getitem__(self, key: str) -> str:
        """Give an attribute, as Cinder's volumes give theirs."""
        return str(getattr(self, key))


@dataclasses.dataclass(frozen=True)
class Rows:
    """Cinder's knowledge of a volume, as of one moment.

    Attributes:
        volume: None if there is no such volume (any more).
        attachments: of its export, oldest first.
    """

    volume: VolumeRow | None = None
    attachments: tuple[Attachment, ...] = ()


def rows_of(volume: Any, target: Target) -> Rows:
    """Read a volume and its attachments: one query, however many volumes there are.

    Args:
        volume: as a request has it, which may be older than the rows.
        target: reads the attachments' connection_info.

    The list that hangs on the volume that a driver is given is as old as the request.
    Cinder's VolumeAttachmentList makes another query for each row, and an object of
    the volume besides: 10 ms a row, most of what an attach took. And
    volume_attachment_get_all_by_volume_id reads the whole volume along with each row,
    which takes twice as long as this.
    """
    rows = _read(_OF_VOLUME, volume=volume["id"], name=volume["name_id"])
    if not rows:
        return Rows()
    now = _volume_row(rows[0])
    attached = [row for row in rows if row.id is not None]
    attached.sort(key=lambda row: (str(row.created_at), row.id))
    if any(row.attached_id != now.id for row in attached) and is_source(now):
        attached = [row for row in attached if row.attached_id == now.id]
    found = (
        (row.attached_id, attachment_rows.attachment(row, target, _flag_of))
        for row in attached
    )
    name = volume["name"]
    own = (
        attachment for id_, attachment in found if _is_of(attachment, id_, now.id, name)
    )
    return Rows(now, tuple(own))


def is_source(volume: Any) -> bool:
    """Say whether a volume is what the migration of another one has left.

    It has that one's name, too, until it is deleted (Volume.finish_volume_migration).
    What there is by the name, as attachments, is the other one's.
    """
    name_id = volume["name_id"]
    if name_id == volume["id"]:
        return False
    return any(owner.id == name_id for owner in owners_of(name_id))


def deleted(attachments: Collection[str]) -> frozenset[str]:
    """Give those of some attachments that Cinder has deleted, all by their ids.

    Cinder keeps the rows of what it has deleted. A row that is missing altogether says
    nothing: the database may be an older copy, or lag behind.
    """
    query = sqlalchemy.select(_TABLE.id).where(
        _TABLE.deleted, _TABLE.id.in_(sorted(attachments))
    )
    return frozenset(row.id for row in _read(query))


def owners_of(name_id: str) -> tuple[VolumeRow, ...]:
    """List the volumes, of any back end, whose logical volume is named by this id."""
    query = sqlalchemy.select(*_AS_VOLUME).where(
        _VOLUMES.deleted == sqlalchemy.false(),
        sqlalchemy.or_(
            sqlalchemy.and_(_VOLUMES.id == name_id, _VOLUMES._name_id.is_(None)),
            _VOLUMES._name_id == name_id,
        ),
    )
    return tuple(map(_volume_row, _read(query)))


def is_deleted(name_id: str) -> bool:
    """Say whether Cinder has deleted a volume whose logical volume is named so.

    Cinder keeps the rows of what it has deleted, until they are purged.
    """
    query = sqlalchemy.select(_VOLUMES.id).where(
        _VOLUMES.deleted == sqlalchemy.true(),
        sqlalchemy.or_(_VOLUMES.id == name_id, _VOLUMES._name_id == name_id),
    )
    return bool(_read(query))


def knows_service(host: str) -> bool:
    """Say whether the database has the row of this back end's own service.

    One that is empty, or another cloud's, has not.
    """
    return service(host) is not None


def service(host: str) -> Any:
    """Give the row of a back end's own service; None if there is none.

    Args:
        host: the back end's, as ``node@backend``.
    """
    admin = context.get_admin_context()
    try:
        return objects.Service.get_by_args(admin, host, constants.VOLUME_BINARY)
    except exception.ServiceNotFound:
        return None


def give_up_soon() -> None:
    """Do not wait for minutes for a database that is down, as oslo.db would.

    It is for commands: an operator asks just then.
    """
    for option in "max_retries", "retry_interval":
        cfg.CONF.set_override(option, 1, group="database")


def answers(seconds: float) -> bool:
    """Say whether the database answers in time, be it by an error.

    One whose host does not say a word any more would keep its readers for ever.
    """
    done = threading.Event()

    def ask() -> None:
        try:
            _read(sqlalchemy.select(sqlalchemy.literal(1)))
        except Exception as error:  # who reads next meets it, and tells it
            LOG.debug("The database answers with an error: %s", words.cause(error))
        finally:
            done.set()

    threading.Thread(target=ask, name="taikun-database", daemon=True).start()
    return done.wait(seconds)


def is_down(error: Exception) -> bool:
    """Say whether an error means that the database cannot be read at all."""
    return isinstance(error, _DOWN)


def tell(error: Exception, what: str) -> None:
    """Log what failed, with a trace unless it is only that the database is away."""
    if is_down(error):
        # What follows is the query, its values, and where SQLAlchemy explains itself.
        cause = _BESIDE.split(words.cause(error))[0]
        LOG.error("%s. Cinder's database cannot be read or written: %s", what, cause)
    elif isinstance(error, VolumeRowDamaged):
        LOG.error("%s. %s", what, error.msg)
    else:
        LOG.error(what, exc_info=error)


def host_of_backend(host: object) -> str:
    """Give a volume's host without its pool: ``node@backend``."""
    return str(host or "").partition("#")[0]


def _volume_row(row: Any) -> VolumeRow:
    return VolumeRow(
        row.volume_id,
        row.volume_name_id or row.volume_id,
        host_of_backend(row.volume_host),
        row.volume_status,
        row.volume_migration_status,
    )


def _is_of(attachment: Attachment, attached: str, volume: str, name: str) -> bool:
    """Say whether an attachment is of the export that a name stands for.

    Its host was told a target by its name, which outlives a change of rows. One that
    was told none yet is of the volume that its row names.
    """
    if attachment.told is None:
        return attached == volume
    return attachment.told.target.endswith(name)


def attached_volumes(host: str) -> frozenset[str]:
    """List the ids of the volumes of a back end that have an attachment: one query.

    Args:
        host: the back end's, as ``node@backend``.
    """
    query = (
        sqlalchemy.select(_TABLE.volume_id)
        .join(_VOLUMES, _VOLUMES.id == _TABLE.volume_id)
        .where(_COUNTS, _is_of_backend(host))
    )
    return frozenset(row.volume_id for row in _read(query))


def volumes_of(host: str) -> list[VolumeRow]:
    """List the volumes of a back end: one query for all.

    Cinder's VolumeList reads the attachments along, and fails for all volumes if one
    of them cannot be read.

    Args:
        host: the back end's, as ``node@backend``.
    """
    query = sqlalchemy.select(*_AS_VOLUME).where(_is_of_backend(host))
    return list(map(_volume_row, _read(query)))


def volume(volume_id: str) -> Any:
    """Read a volume as Cinder has it, with its type.

    Raises:
        CinderException: it cannot be read.
    """
    return objects.Volume.get_by_id(context.get_admin_context(), volume_id)


def count_volumes(host: str, **having: Any) -> int:
    """Count the volumes of a back end.

    Args:
        host: the back end's, as ``node@backend``.
        having: attributes that they have.
    """
    query = (
        sqlalchemy.select(sqlalchemy.func.count())
        .select_from(_VOLUMES)
        .where(_is_of_backend(host))
        .filter_by(**having)
    )
    return int(_read(query)[0][0])


def _is_of_backend(host: str) -> Any:
    there = _VOLUMES.host
    return sqlalchemy.and_(
        _VOLUMES.deleted == sqlalchemy.false(),
        sqlalchemy.or_(there == host, there.startswith(f"{host}#", autoescape=True)),
    )


def service_uuid(host: str) -> str | None:
    """Give the id of the service of a back end; None if there is none.

    Args:
        host: the back end's, as ``node@backend``.
    """
    found = service(host)
    return None if found is None else str(found.uuid)


def change_status(volume_id: str, before: str, after: str) -> bool:
    """Change a volume's status if it is still what it was; say whether it was.

    The comparison and the change are one statement of the database.
    """
    return bool(
        volume(volume_id).conditional_update({"status": after}, {"status": before})
    )


def readonly_flag(volume: Any) -> str | None:
    """Give a volume's admin metadata ``readonly``; None if it has none."""
    if volume.obj_attr_is_set("admin_metadata"):
        found = volume.admin_metadata.get(READONLY)
    else:
        with volume.obj_as_admin():  # which copies the whole context
            found = volume.admin_metadata.get(READONLY)
    return None if found is None else str(found)


def attachments_sent_with(volume: Any) -> dict[str, bool] | None:
    """Give the attachments that a request's volume had when it was sent.

    They are never read again for this: that takes long (see ``rows_of``), and would not
    be what the request saw.

    Returns:
        their ids, each with whether it waited for its host; None where nobody told.
    """
    if not volume.obj_attr_is_set("volume_attachment"):
        return None
    return {
        one.id: one.attach_status == VolumeAttachStatus.RESERVED and not one.connector
        for one in volume.volume_attachment or ()
        # As ``_COUNTS`` does, which leaves out one without a status, too.
        if one.attach_status not in (None, VolumeAttachStatus.DETACHED)
    }


def remove_readonly_flag(volume: Any) -> None:
    """Remove ``readonly`` from a volume's admin metadata."""
    with volume.obj_as_admin():
        rest = {
            key: value
            for key, value in volume.admin_metadata.items()
            if key != READONLY
        }
        volume.admin_metadata_update(rest, delete=True)


def _read(query: Any, **values: str) -> Sequence[Any]:
    with db.main_context_manager.reader.using(context.get_admin_context()) as session:
        return list(session.execute(query, values).all())


def _flag_of(volume_id: str) -> str | None:
    return readonly_flag(volume(volume_id))
