# SPDX-License-Identifier: Apache-2.0
"""Checks of what Cinder's database has of this node's back ends."""

from collections.abc import Iterator

from taikun_cinder import database
from taikun_cinder.access.grants import grants
from taikun_cinder.access.ledger import Ledger
from taikun_cinder.cli.backends import Backend
from taikun_cinder.status.found import Found, listed


def service(backend: Backend) -> Found:
    """See that the database has the row of a back end's service."""
    if database.knows_service(backend.host):
        return Found()
    return Found.warning(
        f"the database has no service {backend.host}. That is right before its first "
        "start; otherwise connection in [database] is another one, or host or "
        "backend_host was changed"
    )


def credentials(backend: Backend) -> Found:
    """Look for attached hosts that could not log in again, once this driver starts.

    The driver goes on with the CHAP pairs that hosts were given, by itself or by the
    in-tree driver, and lets in nobody without one.
    """
    without = list(_without_pair(backend))
    if not without:
        return Found()
    return Found.failure(
        f"[{backend.name}] {len(without)} attachment(s) have no CHAP pair in the "
        f"database, nor in a record: {listed(without)}. Their hosts lose their disks "
        "when this driver starts. Detach them before, and attach them again after"
    )


def _without_pair(backend: Backend) -> Iterator[str]:
    attached = database.attached_volumes(backend.host)
    for volume in database.volumes_of(backend.host):
        if volume.id not in attached:
            continue
        rows = database.rows_of(volume, backend.target).attachments
        record = backend.records.of(volume)
        ledger = record.ledger if record else Ledger()
        known = {grant.initiator for grant in grants(rows, ledger)}
        for one in rows:
            if one.connected and one.initiator and one.initiator not in known:
                yield f"volume {volume.id}, host {one.host}"
