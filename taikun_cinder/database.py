# SPDX-License-Identifier: Apache-2.0
"""Attachments and volumes in Cinder's database, always read afresh.

No other module of the volume service talks to the database.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy
from cinder import context, exception, objects
from cinder.db import api as db
from cinder.db import models
from cinder.objects.fields import VolumeAttachStatus

from taikun_cinder import connectors, modes
from taikun_cinder.access.attachment import Attachment
from taikun_cinder.access.identity import identity, is_made_for
from taikun_cinder.access.model import Credentials, Initiator

#: In use though no connector is written: Cinder's os-attach writes none.
_IN_USE = (VolumeAttachStatus.ATTACHED, VolumeAttachStatus.ERROR_DETACHING)

#: The admin metadata of a volume that all hosts may only read.
READONLY = "readonly"

_TABLE = models.VolumeAttachment

_COUNTS = sqlalchemy.and_(
    _TABLE.deleted == sqlalchemy.false(),
    _TABLE.attach_status != VolumeAttachStatus.DETACHED,
)

_OF_VOLUME = sqlalchemy.select(
    _TABLE.id,
    _TABLE.volume_id,
    _TABLE.instance_uuid,
    _TABLE.attached_host,
    _TABLE.attach_status,
    _TABLE.attach_mode,
    _TABLE.connector,
    _TABLE.connection_info,
    _TABLE.created_at,
).where(_COUNTS, _TABLE.volume_id == sqlalchemy.bindparam("volume"))


def attachments_of(volume_id: str, connector_key: str) -> tuple[Attachment, ...]:
    """Read the attachments of one volume: one query, however many volumes there are.

    Args:
        volume_id: the volume.
        connector_key: of a connector for its host's name, see ``Target``.

    The list that hangs on the volume that a driver is given is as old as the request.
    Cinder's VolumeAttachmentList makes another query for each row, and an object of
    the volume besides: 10 ms a row, most of what an attach took. And
    volume_attachment_get_all_by_volume_id reads the whole volume along with each row,
    which takes twice as long as this.
    """
    rows = _read(_OF_VOLUME, volume=volume_id)
    oldest_first = sorted(rows, key=lambda row: (str(row.created_at), row.id))
    return tuple(_attachment(row, connector_key) for row in oldest_first)


def attached_volumes(host: str) -> frozenset[str]:
    """List the ids of the volumes of a back end that have an attachment: one query.

    Args:
        host: the back end's, as ``node@backend``.
    """
    there = models.Volume.host
    ours = sqlalchemy.or_(there == host, there.startswith(f"{host}#", autoescape=True))
    query = (
        sqlalchemy.select(_TABLE.volume_id)
        .join(models.Volume, models.Volume.id == _TABLE.volume_id)
        .where(_COUNTS, ours)
    )
    return frozenset(row.volume_id for row in _read(query))


def volumes_of(host: str, **filters: Any) -> list[Any]:
    """List the volumes of a back end: one query for all.

    Args:
        host: the back end's, as ``node@backend``.
        filters: attributes that they have.
    """
    return list(
        objects.VolumeList.get_all_by_host(
            context.get_admin_context(), host, filters or None
        )
    )


def service_uuid(host: str) -> str | None:
    """Give the id of the service of a back end; None if there is none.

    Args:
        host: the back end's, as ``node@backend``.
    """
    try:
        found = objects.Service.get_by_args(
            context.get_admin_context(), host, "cinder-volume"
        )
    except exception.ServiceNotFound:
        return None
    return str(found.uuid)


def readonly_flag(volume: Any) -> str | None:
    """Give a volume's admin metadata ``readonly``; None if it has none."""
    if volume.obj_attr_is_set("admin_metadata"):
        found = volume.admin_metadata.get(READONLY)
    else:
        with volume.obj_as_admin():  # which copies the whole context
            found = volume.admin_metadata.get(READONLY)
    return None if found is None else str(found)


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


def _attachment(row: Any, connector_key: str) -> Attachment:
    connector = _loaded(row.connector)
    name = connectors.name_in(connector, connector_key)
    initiator = Initiator(str(name)) if name else None
    return Attachment(
        id=row.id,
        host=row.attached_host or connectors.host_of(connector),
        initiator=initiator,
        connected=initiator is not None or row.attach_status in _IN_USE,
        identity=identity(connector) if connector else None,
        mode=modes.of_attachment(
            row.attach_mode, connector, lambda: _flag_of(row.volume_id)
        ),
        instance_uuid=row.instance_uuid,
        credentials=_credentials(initiator, connector, _loaded(row.connection_info)),
        machine=connectors.machine_of(connector),
    )


def _loaded(text: str | None) -> Mapping[str, Any]:
    return (json.loads(text) if text else None) or {}


def _flag_of(volume_id: str) -> str | None:
    admin = context.get_admin_context()
    return readonly_flag(objects.Volume.get_by_id(admin, volume_id))


def _credentials(
    initiator: Initiator | None,
    connector: Mapping[str, Any],
    information: Mapping[str, Any],
) -> Credentials | None:
    if not is_made_for(initiator, connector, information):
        return None
    username = information.get("auth_username")
    password = information.get("auth_password")
    if not username or not password:
        return None
    return Credentials(str(username), str(password))
