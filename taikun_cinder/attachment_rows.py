# SPDX-License-Identifier: Apache-2.0
"""Reads an attachment from its row; what cannot be read harms no other attachment."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from cinder.objects.fields import VolumeAttachStatus
from oslo_log import log as logging

from taikun_cinder import connectors, modes
from taikun_cinder.access.attachment import Attachment
from taikun_cinder.access.identity import identity, is_made_for
from taikun_cinder.access.model import Credentials, Initiator
from taikun_cinder.targets.base import Target

LOG = logging.getLogger(__name__)

#: In use though no connector is written: Cinder's os-attach writes none.
_IN_USE = (VolumeAttachStatus.ATTACHED, VolumeAttachStatus.ERROR_DETACHING)


def attachment(
    row: Any, target: Target, flag_of: Callable[[str], str | None]
) -> Attachment:
    """Give the attachment that a row of Cinder's database says.

    Args:
        row: of the table of attachments; its texts as they are stored.
        target: knows how a host is named, and told where to connect.
        flag_of: reads the admin metadata ``readonly`` of a volume.
    """
    connector = _loaded(row, "connector")
    information = _loaded(row, "connection_info")
    known, data = connector or {}, information or {}
    name = connectors.name_in(known, target.connector_key)
    initiator = Initiator(str(name)) if name else None
    return Attachment(
        id=row.id,
        host=connectors.printable(row.attached_host or connectors.host_of(known)),
        initiator=initiator,
        connected=initiator is not None or row.attach_status in _IN_USE,
        identity=identity(known) if known else None,
        mode=modes.of_attachment(
            row.attach_mode, known, lambda: flag_of(row.attached_id)
        ),
        instance_uuid=row.instance_uuid,
        credentials=_credentials(initiator, known, data),
        machine=connectors.machine_of(known),
        told=target.told(data),
        readers_disk=modes.has_readers_disk(known),
        readable=connector is not None and information is not None,
        attaching=row.attach_status == VolumeAttachStatus.ATTACHING,
    )


def _loaded(row: Any, column: str) -> Mapping[str, Any] | None:
    """Give what a column has; nothing if it is empty, None if it cannot be read."""
    text = getattr(row, column)
    try:
        found = json.loads(text) if text else {}
    except (ValueError, TypeError, RecursionError):
        found = False
    if found is None:
        return {}
    if isinstance(found, Mapping):
        return found
    LOG.warning(
        "Attachment %(attachment)s of volume %(volume)s cannot be read: what the "
        "database has as its %(column)s is no JSON object. Until it is deleted, the "
        "hosts of this volume that no other attachment speaks of keep their access.",
        {"attachment": row.id, "volume": row.attached_id, "column": column},
    )
    return None


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
