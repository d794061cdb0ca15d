# SPDX-License-Identifier: Apache-2.0
"""Cinder's attachments of a volume, read afresh from its database."""

from typing import Any

from cinder import context, objects
from cinder.objects.fields import VolumeAttachStatus

from taikun_cinder import connectors
from taikun_cinder.access.model import Attachment, Initiator

#: In use though no connector is written: Cinder's os-attach writes none.
_IN_USE = (VolumeAttachStatus.ATTACHED, VolumeAttachStatus.ERROR_DETACHING)


def of_volume(volume_id: str) -> tuple[Attachment, ...]:
    """Read the attachments of one volume: one query, however many volumes there are.

    The list that hangs on the volume that a driver is given is as old as the request.
    """
    rows = objects.VolumeAttachmentList.get_all_by_volume_id(
        context.get_admin_context(), volume_id
    )
    return tuple(_attachment(row) for row in rows)


def _attachment(row: Any) -> Attachment:
    connector = row.connector or {}
    name = connector.get("initiator")
    initiator = Initiator(str(name)) if name else None
    return Attachment(
        id=row.id,
        host=row.attached_host or connectors.host_of(connector),
        initiator=initiator,
        connected=initiator is not None or row.attach_status in _IN_USE,
    )
