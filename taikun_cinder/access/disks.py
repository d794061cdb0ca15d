# SPDX-License-Identifier: Apache-2.0
"""The disks that an attachment has had, beside the one that its row names.

An attach may be repeated for an attachment that has its connector already, and the
driver is not told which attachment a request is for. So the answer may be another
server's, or decided when the volume had other servers. Cinder writes it into the row,
and the row names another disk then than the one that the server is using. The host
keeps that one, too, as long as the attachment lasts (law 1). Only a server that asks
itself to read from now on gives up the main disk, when its row shows that it did.
"""

import dataclasses
from collections.abc import Collection, Container, Iterable, Mapping

from taikun_cinder.access.attachment import Attachment, Disks
from taikun_cinder.access.model import Mode, highest


def noted(
    disks: Mapping[str, Disks],
    attachments: Iterable[Attachment],
    undecided: Container[str | None],
) -> dict[str, Disks]:
    """Give what to remember, now that a host may be answered with another disk.

    Args:
        disks: what is remembered, by the ids of attachments.
        attachments: the host's, those that are not over. One whose host was told
            nothing yet gives it nothing: its row may not say the mode it will have.
        undecided: the identities whose rows do not say the mode yet.
    """
    found = dict(disks)
    for attachment in (one for one in attachments if one.told is not None):
        before = disks.get(attachment.id, Disks())
        now = Mode.RO if attachment.identity in undecided else attachment.mode
        mode = highest({before.mode, None if attachment.readers_disk else now})
        readers_disk = before.readers_disk or attachment.readers_disk
        found[attachment.id] = Disks(attachment.initiator, mode, readers_disk)
    return found


def lasting(
    disks: Mapping[str, Disks],
    attachments: Iterable[Attachment],
    missing: Container[str],
    lowered: Container[str | None],
    renewed: Container[str],
) -> dict[str, Disks]:
    """Forget the attachments that are over, or another host's.

    Args:
        disks: what is remembered.
        attachments: all of the volume's.
        missing: the ids of those whose rows may come back.
        lowered: the identities of those who asked to read only.
        renewed: the ids of those that were ended, and have another connector by now.
    """
    rows = {attachment.id: attachment for attachment in attachments}
    found = {}
    for id_, had in disks.items():
        row = rows.get(id_)
        if row is None:
            if id_ in missing:
                found[id_] = had
        elif row.connected and row.initiator == had.initiator and id_ not in renewed:
            lower = had.mode is Mode.RW and row.identity in lowered
            found[id_] = dataclasses.replace(had, mode=None) if lower else had
    return found


def kept(
    disks: Mapping[str, Disks], attachments: Collection[Attachment]
) -> tuple[Attachment, ...]:
    """Give the attachments with all disks that they have."""
    return tuple(one.keeping(disks.get(one.id)) for one in attachments)
