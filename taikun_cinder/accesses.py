# SPDX-License-Identifier: Apache-2.0
"""Who uses a volume: each attachment beside what its host can do by the kernel."""

import dataclasses
from collections.abc import Collection, Iterator

from taikun_cinder.access.attachment import Attachment, Connection
from taikun_cinder.access.model import HostState, Initiator, Mode
from taikun_cinder.survey import Seen

#: What a host can do that has no access.
_NOTHING = HostState()


@dataclasses.dataclass(frozen=True)
class Access:
    """One use of a volume.

    Attributes:
        attachment: the id of Cinder's attachment; empty if none stands for this.
        server: the id of the server; empty if it is not known, or if Cinder itself is
            connected.
        host: the host's name; empty if it is not known.
        initiator: the host's; empty if it is not known.
        asked: ``rw`` or ``ro``, what the attachment is to have: what was asked for, or
            less by a rule; empty without one.
        enforced: ``rw``, ``ro`` or ``none``, what the kernel lets the host do with the
            disk that it was given.
        disk: ``main`` or ``readers``.
        logged_in: whether the host has a session.
        address: where the session comes from; empty without one.
        remark: what is to be said of it; empty if all is as it should be.
    """

    attachment: str
    server: str
    host: str
    initiator: str
    asked: str
    enforced: str
    disk: str
    logged_in: bool
    address: str
    remark: str


def accesses(seen: Seen) -> list[Access]:
    """List who uses a volume: those with an attachment first, oldest first."""
    return list(_accesses(seen))


def _accesses(seen: Seen) -> Iterator[Access]:
    told: set[Initiator] = set()
    for attachment in seen.known.attachments:
        if attachment.initiator is not None:
            told.add(attachment.initiator)
        yield _of_attachment(seen, attachment)
    shown = {attachment.identity for attachment in seen.known.attachments}
    for connection in seen.known.ledger.connections:
        if connection.identity not in shown and not connection.idle:
            told.add(connection.grant.initiator)
            yield _of_connection(seen, connection)
    for initiator in sorted(seen.shown.hosts.keys() - told):
        yield _without_attachment(seen, initiator)


def _of_attachment(seen: Seen, attachment: Attachment) -> Access:
    remarks = []
    if not attachment.readable:
        remarks.append("its row cannot be read, so it may be any host's")
    elif not attachment.connected:
        remarks.append("reserved, and no host has asked for it yet")
    elif _is_fenced(seen, attachment):
        remarks.append("fenced by an operator, until this attachment is deleted")
    elif attachment.key in seen.known.ledger.ended:
        remarks.append("detached, and Cinder has not deleted it yet")
    if attachment.keeps_more:
        remarks.append(
            f"told another disk by a repeated attach: its host keeps "
            f"{attachment.keeps.words}, too, until it is detached"
        )
    return _access(
        seen,
        attachment.initiator,
        attachment=attachment.id,
        server=attachment.instance_uuid or "",
        host=attachment.host if attachment.connected else "",
        asked=attachment.mode.value,
        readers_disk=attachment.readers_disk,
        remarks=remarks,
    )


def _is_fenced(seen: Seen, attachment: Attachment) -> bool:
    return any(
        fence.initiator == attachment.initiator
        and (not fence.settled or attachment.id in fence.attachments)
        for fence in seen.known.fences
    )


def _of_connection(seen: Seen, connection: Connection) -> Access:
    initiator = connection.grant.initiator
    server = connection.server or ""
    remark = "answered, and no attachment shows it yet"
    if connection.server is None:
        remark = "Cinder itself: a backup, a copy of an image or a migration"
    elif server.startswith("attachment ") or server == connection.identity:
        server = ""
    return _access(
        seen,
        initiator,
        server=server,
        host=_host(seen, initiator),
        readers_disk=connection.grant.readers_disk,
        remarks=[remark],
    )


def _without_attachment(seen: Seen, initiator: Initiator) -> Access:
    state = seen.shown.hosts[initiator]
    remark = "no attachment"
    if seen.is_blind:
        remark = ""  # nobody can say
    elif initiator in seen.held:
        remark = "no attachment; the reconcile holds back, as the host is logged in"
    return _access(
        seen,
        initiator,
        host=_host(seen, initiator),
        readers_disk=state.mode is None and state.readers_disk,
        remarks=[remark],
    )


def _access(
    seen: Seen,
    initiator: Initiator | None,
    *,
    attachment: str = "",
    server: str = "",
    host: str = "",
    asked: str = "",
    readers_disk: bool,
    remarks: Collection[str],
) -> Access:
    state = _NOTHING
    if initiator is not None:
        state = seen.shown.hosts.get(initiator, _NOTHING)
    found = [
        f"{finding.kind}: there is {finding.found}, there should be {finding.wanted}"
        for finding in seen.findings
        if initiator is not None and finding.initiator == initiator
    ]
    return Access(
        attachment,
        server,
        host,
        str(initiator or ""),
        asked,
        _enforced(state, readers_disk=readers_disk),
        "readers" if readers_disk else "main",
        state.connected,
        seen.details.addresses.get(initiator, "") if initiator else "",
        "; ".join(filter(None, (*remarks, *found))),
    )


def _enforced(state: HostState, *, readers_disk: bool) -> str:
    if readers_disk:
        return Mode.RO.value if state.readers_disk else "none"
    return "none" if state.mode is None else state.mode.value


def _host(seen: Seen, initiator: Initiator) -> str:
    machine = seen.known.ledger.machines.get(initiator)
    return machine.host if machine else ""
