# SPDX-License-Identifier: Apache-2.0
"""Cinder's attachments of a volume, read afresh from its database."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy
from cinder import context
from cinder.db import api as db
from cinder.db import models
from cinder.objects.fields import VolumeAttachStatus

from taikun_cinder import connectors, modes
from taikun_cinder.access.identity import identity, is_made_for
from taikun_cinder.access.model import Credentials, Initiator
from taikun_cinder.access.rows import Row

#: In use though no connector is written: Cinder's os-attach writes none.
_IN_USE = (VolumeAttachStatus.ATTACHED, VolumeAttachStatus.ERROR_DETACHING)


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


def of_volume(volume_id: str) -> tuple[Row, ...]:
    """Read the attachments of one volume: one query, however many volumes there are.

    The list that hangs on the volume that a driver is given is as old as the request.
    Cinder's VolumeAttachmentList makes another query for each row, and an object of
    the volume besides: 10 ms a row, most of what an attach took. And
    volume_attachment_get_all_by_volume_id reads the whole volume along with each row,
    which takes twice as long as this.
    """
    rows = _read(_OF_VOLUME, volume=volume_id)
    oldest_first = sorted(rows, key=lambda row: (str(row.created_at), row.id))
    return tuple(_row(row) for row in oldest_first)


def attached_volumes(host: str) -> frozenset[str]:
    """Give the ids of the volumes of a back end that have an attachment: one query.

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


def _read(query: Any, **values: str) -> Sequence[Any]:
    with db.main_context_manager.reader.using(context.get_admin_context()) as session:
        return list(session.execute(query, values).all())


def _row(row: Any) -> Row:
    connector = _loaded(row.connector)
    name = connector.get("initiator")
    initiator = Initiator(str(name)) if name else None
    return Row(
        id=row.id,
        host=row.attached_host or connectors.host_of(connector),
        initiator=initiator,
        connected=initiator is not None or row.attach_status in _IN_USE,
        identity=identity(connector) if connector else None,
        mode=modes.of_row(row, connector),
        server=row.instance_uuid,
        credentials=_credentials(connector, _loaded(row.connection_info)),
    )


def _loaded(text: str | None) -> Mapping[str, Any]:
    return (json.loads(text) if text else None) or {}


def _credentials(
    connector: Mapping[str, Any], information: Mapping[str, Any]
) -> Credentials | None:
    if not is_made_for(connector, information):
        return None
    username = information.get("auth_username")
    password = information.get("auth_password")
    if not username or not password:
        return None
    return Credentials(str(username), str(password))
