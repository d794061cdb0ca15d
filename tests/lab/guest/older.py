# SPDX-License-Identifier: Apache-2.0
"""Makes what the driver keeps as an older version of it kept it."""

import json

from cinder import objects

from lab.guest.volume import backend
from lab.guest.volume_settings import RECORDS
from taikun_cinder import modes

_NEW = ("main_disk", "readers_disk", "discard")


def forget_disks(volume_id: str) -> None:
    """Remove what says which disk a host was given, from the record and the rows."""
    record = RECORDS / f"{volume_id}.json"
    record.write_text(json.dumps(_without(json.loads(record.read_text()))))
    rows = objects.VolumeAttachmentList.get_all_by_volume_id(
        backend().context, volume_id
    )
    for row in rows:
        connector = dict(row.connector)
        connector.pop(modes.DISK, None)
        row.connector = connector
        row.save()


def _without(plain: object) -> object:
    if isinstance(plain, list):
        return [_without(value) for value in plain]
    if not isinstance(plain, dict):
        return plain
    return {key: _without(value) for key, value in plain.items() if key not in _NEW}
