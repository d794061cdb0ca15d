# SPDX-License-Identifier: Apache-2.0
"""Cinder's attachments of a volume, read afresh from its database."""

import json
from collections.abc import Mapping
from typing import Any

from cinder import context
from cinder.db import api as db
from cinder.objects.fields import VolumeAttachStatus

from taikun_cinder import connectors, modes
from taikun_cinder.access.identity import identity, is_made_for
from taikun_cinder.access.model import Credentials, Initiator
from taikun_cinder.access.rows import Row

#: In use though no connector is written: Cinder's os-attach writes none.
_IN_USE = (VolumeAttachStatus.ATTACHED, VolumeAttachStatus.ERROR_DETACHING)


def of_volume(volume_id: str) -> tuple[Row, ...]:
    """Read the attachments of one volume: one query, however many volumes there are.

    The list that hangs on the volume that a driver is given is as old as the request.
    And Cinder's VolumeAttachmentList makes another query for each row, and an object of
    the volume besides: 10 ms a row, most of what an attach took.
    """
    rows = db.volume_attachment_get_all_by_volume_id(
        context.get_admin_context(), volume_id
    )
    oldest_first = sorted(rows, key=lambda row: (str(row.created_at), row.id))
    return tuple(_row(row) for row in oldest_first)


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
