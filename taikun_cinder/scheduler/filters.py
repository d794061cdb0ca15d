# SPDX-License-Identifier: Apache-2.0
"""A scheduler filter, to stand beside Cinder's own."""

from collections.abc import Iterator, Mapping
from typing import Any

from cinder import context, objects
from cinder.scheduler import filters
from oslo_log import log as logging
from oslo_utils import strutils

from taikun_cinder import capabilities

LOG = logging.getLogger(__name__)

#: The one value by which Cinder's API makes a volume multi-attach.
MULTIATTACH = "<is> True"

#: Requests that may move a volume to another back end.
_MOVES = ("migrate_volume", "retype_volume")


class TaikunMultiattachFilter(filters.BaseBackendFilter):
    """Passes back ends that can do what a multi-attach volume type asks for.

    It also catches what Cinder lets through. It never raises: where it does not
    understand a request, the other filters decide.
    """

    def backend_passes(
        self, backend_state: Any, filter_properties: Mapping[str, Any]
    ) -> bool:
        """Say whether a back end can take the volume; log the cause if it cannot."""
        try:
            cause = _cause(backend_state, filter_properties)
        except Exception:
            LOG.exception(
                "Whether back end %s can take the volume is left to the other filters",
                backend_state.host,
            )
            return True
        if cause is not None:
            spec = filter_properties.get("request_spec") or {}
            LOG.info(
                "Back end %(host)s is not for volume %(volume)s: %(cause)s",
                {
                    "host": backend_state.host,
                    "volume": spec.get("volume_id"),
                    "cause": cause,
                },
            )
        return cause is None


def _cause(state: Any, properties: Mapping[str, Any]) -> str | None:
    spec = properties.get("request_spec") or {}
    kind = properties.get("resource_type") or spec.get("volume_type") or {}
    specs: Mapping[str, str] = kind.get("extra_specs") or {}
    can: Mapping[str, Any] = state.capabilities or {}
    checks: Iterator[str | None] = (
        check(specs, can, spec, state)
        for check in (_spelling, _company, _vendor, _purpose, _room, _move)
    )
    cause = next((one for one in checks if one is not None), None)
    return cause and f"{cause} (volume type {kind.get('name') or 'none'})"


def _is_meant(specs: Mapping[str, str], key: str) -> bool:
    """Say whether an extra spec means true, however it is written."""
    words = str(specs.get(key, "")).replace("<or>", " ").split()
    return bool(words) and strutils.bool_from_string(words[-1])


def _spelling(specs: Mapping[str, str], *_: Any) -> str | None:
    if _is_meant(specs, "multiattach") and specs["multiattach"] != MULTIATTACH:
        return (
            f"multiattach='{specs['multiattach']}' would make a volume that is not "
            f"multi-attach; the type has to say multiattach='{MULTIATTACH}' to the "
            "letter"
        )
    return None


def _company(
    specs: Mapping[str, str], _can: Mapping[str, Any], spec: Mapping[str, Any], *_: Any
) -> str | None:
    if not _is_meant(specs, "multiattach"):
        return None
    if _is_meant(specs, "cacheable"):
        return "a multi-attach volume cannot be cacheable: hosts would read old data"
    if _volume(spec).get("encryption_key_id"):
        return "Cinder does not allow an encrypted volume to be multi-attach"
    return None


def _vendor(specs: Mapping[str, str], can: Mapping[str, Any], *_: Any) -> str | None:
    known = {spec.name: spec for spec in capabilities.SPECS}
    for name in specs:
        if not name.startswith(f"{capabilities.PREFIX}:"):
            continue
        if name not in known:
            return f"there is no {name}; there are {', '.join(sorted(known))}"
        try:
            known[name].read(specs, None)
        except capabilities.NotAllowedError as error:
            return str(error)
        if can.get("vendor_name") != capabilities.VENDOR:
            return f"it does not know {name}"
    return None


def _purpose(
    specs: Mapping[str, str], can: Mapping[str, Any], spec: Mapping[str, Any], *_: Any
) -> str | None:
    if spec.get("operation") == "extend_volume" or not can.get("multiattach_only"):
        return None
    if _is_meant(specs, "multiattach"):
        return None
    return (
        "it is kept for multi-attach volumes (taikun_multiattach_only), and the type "
        f"does not say multiattach='{MULTIATTACH}'"
    )


def _room(
    specs: Mapping[str, str],
    can: Mapping[str, Any],
    spec: Mapping[str, Any],
    state: Any,
) -> str | None:
    full = can.get("multiattach_volumes_left") == 0
    if not full or not _is_meant(specs, "multiattach"):
        return None
    if spec.get("operation") == "extend_volume":
        return None
    if _volume(spec).get("multiattach") and _host(spec) == state.host:
        return None
    return (
        "it has as many multi-attach volumes as it may (taikun_max_multiattach_volumes)"
    )


def _move(
    _specs: Mapping[str, str],
    _can: Mapping[str, Any],
    spec: Mapping[str, Any],
    state: Any,
) -> str | None:
    if spec.get("operation") not in _MOVES or not _volume(spec).get("multiattach"):
        return None
    volume = _stored(spec)
    number = len(volume.volume_attachment)
    if number < 2 or volume.host == state.host:  # noqa: PLR2004 - more than one
        return None
    return (
        f"the volume has {number} attachments, so it cannot be moved; detach it first"
    )


def _volume(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    return spec.get("volume_properties") or {}


def _stored(spec: Mapping[str, Any]) -> Any:
    """Give a volume as it is: a request tells neither its place nor its hosts."""
    return objects.Volume.get_by_id(context.get_admin_context(), spec["volume_id"])


def _host(spec: Mapping[str, Any]) -> str | None:
    """Give the back end that a volume is on; None for one that is to be made."""
    if spec.get("operation") not in _MOVES:
        return None
    return str(_stored(spec).host)
