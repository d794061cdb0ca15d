# SPDX-License-Identifier: Apache-2.0
"""A line of the log for each attach and each detach: who, what, why, how long.

oslo.log puts the request's id before each line, by which all services can be searched.
"""

from collections.abc import Mapping
from typing import Any

from oslo_log import log as logging

from taikun_cinder import connectors, extra_specs
from taikun_cinder.access.model import Export, Grant, Initiator, Mode
from taikun_cinder.access.rules import Secondary
from taikun_cinder.admission import Admission, AttachRequest

LOG = logging.getLogger(__name__)

_ONLY_A_CLUSTERS = (
    "Several servers can write to a cluster file system only (OCFS2, GFS2); what is "
    "just left over of another, wipefs removes"
)


def attached(
    request: AttachRequest, grant: Grant, admission: Admission, seconds: float
) -> None:
    """Tell that a host was let in, and what was decided.

    Args:
        request: the host's.
        grant: what the host has by all its connections.
        admission: what it has by this one.
        seconds: that it took, the wait for the volume's lock included.
    """
    LOG.info(
        "Volume %(volume)s: host %(host)s (%(initiator)s) may %(mode)s for %(server)s, "
        "%(why)s%(more)s. It took %(milliseconds).0f ms.",
        {
            "volume": request.volume["id"],
            "host": connectors.host_of(request.connector),
            "initiator": request.initiator,
            "mode": _mode(admission),
            "server": _server(admission),
            "why": _why(request, admission),
            "more": _more(grant, admission),
            "milliseconds": seconds * 1000,
        },
    )
    if admission.verdict.cause:
        _warn(request, admission)


def detached(
    volume: Any,
    connector: Mapping[str, Any],
    initiator: Initiator,
    export: Export | None,
    seconds: float,
) -> None:
    """Tell that a connection of a host was ended, and who has the volume still.

    Args:
        volume: Cinder's.
        connector: the host's.
        initiator: the host's.
        export: what is left; None for nothing.
        seconds: that it took, the wait for the volume's lock included.
    """
    hosts = set(export.grant_of) if export else set()
    stays = "has it by another attachment still"
    if initiator not in hosts:
        stays = "has it no more"
    LOG.info(
        "Volume %(volume)s: host %(host)s (%(initiator)s) was detached and %(stays)s. "
        "%(others)d other host(s) have it. It took %(milliseconds).0f ms.",
        {
            "volume": volume["id"],
            "host": connectors.host_of(connector),
            "initiator": connectors.printable(initiator),
            "stays": stays,
            "others": len(hosts - {initiator}),
            "milliseconds": seconds * 1000,
        },
    )


def stays(volume: Any, connector: Mapping[str, Any], initiator: Initiator) -> None:
    """Tell that a detach leaves its host what others of its attachments give it.

    Args:
        volume: Cinder's.
        connector: the host's.
        initiator: the host's.
    """
    LOG.warning(
        "Host %(host)s (%(initiator)s) keeps its access to volume %(volume)s, since "
        "others of its attachments remain, or since the connector does not say which "
        "one is meant. What remains ends when its attachment is deleted (openstack "
        "volume attachment delete, or os-force_detach with its attachment_id).",
        {
            "host": connectors.host_of(connector),
            "initiator": connectors.printable(initiator),
            "volume": volume["id"],
        },
    )


def _warn(request: AttachRequest, admission: Admission) -> None:
    """Say what the guard is against, and the ways out."""
    LOG.warning(
        "Volume %(volume)s: host %(host)s may %(mode)s for %(server)s: %(cause)s. "
        "%(cure)s.",
        {
            "volume": request.volume["id"],
            "host": connectors.host_of(request.connector),
            "mode": _mode(admission),
            "server": _server(admission),
            "cause": admission.verdict.cause,
            "cure": _cure(admission),
        },
    )


def _cure(admission: Admission) -> str:
    if admission.mode is Mode.RO:
        return f"{_ONLY_A_CLUSTERS}. Then attach it again"
    if admission.verdict.is_unseen:
        return "If that is for one server at a time, they destroy it: see what it is"
    return (
        "What both write destroys it. Detach one of them, or attach it with mode ro. "
        f"{_ONLY_A_CLUSTERS}"
    )


def _server(admission: Admission) -> str:
    if admission.server is None:
        return "Cinder itself"
    if admission.candidates:
        return f"one of the servers {', '.join(sorted(admission.candidates))}"
    if admission.server == admission.identity:
        return "a server that no attachment names yet"
    if admission.server.startswith("attachment "):
        return admission.server
    return f"server {admission.server}"


def _mode(admission: Admission) -> str:
    if admission.mode is Mode.RW:
        return "read and write"
    return "only read, by the readers' disk" * admission.readers_disk or "only read"


def _why(request: AttachRequest, admission: Admission) -> str:
    if admission.server is None:
        return "as for a copy or a backup"
    guard = f"{extra_specs.FILESYSTEM_GUARD.name} is '{request.rule.guard.value}'"
    if admission.verdict.cause and admission.mode is Mode.RO:
        return f"since {admission.verdict.cause}, and {guard}"
    look = admission.verdict.look
    return f"{_asked(request, admission)}{f'; {guard}, found: {look}' if look else ''}"


def _asked(request: AttachRequest, admission: Admission) -> str:
    if admission.mode is None:
        return "until its attachment says more"
    if admission.mode is request.mode:
        return "as asked for"
    if admission.mode is Mode.RO and request.rule.secondary is Secondary.RO:
        rule = extra_specs.SECONDARY_MODE.name
        return f"since another server may write and {rule} is 'ro'"
    return "as its server may on another host"


def _more(grant: Grant, admission: Admission) -> str:
    if grant.mode is Mode.RW and _mode(admission) == "only read":
        return "; the host may write by another attachment of the same disk"
    return ""
