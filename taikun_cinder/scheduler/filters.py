# SPDX-License-Identifier: Apache-2.0
"""A scheduler filter, to be enabled beside Cinder's own."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from cinder import context, objects
from cinder.scheduler import filters
from cinder.volume import volume_types
from oslo_log import log as logging
from oslo_utils import strutils

from taikun_cinder import capabilities, extra_specs

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

    def __init__(self) -> None:
        """Make one for a request, as Cinder's scheduler does."""
        super().__init__()
        #: What was looked up for the request, since that is the same for all back ends.
        self._known: dict[str, Any] = {}

    def backend_passes(
        self, backend_state: Any, filter_properties: Mapping[str, Any]
    ) -> bool:
        """Say whether a back end can take the volume; log the cause if it cannot."""
        try:
            case = _Case.of(backend_state, filter_properties, self._known)
            causes = (check(case) for check in _CHECKS)
            cause = next((found for found in causes if found is not None), None)
        except Exception:
            LOG.exception(
                "Whether back end %s can take the volume is left to the other filters",
                backend_state.host,
            )
            return True
        if cause is not None:
            LOG.info(
                "Back end %(host)s is not for volume %(volume)s of type %(type)s: "
                "%(cause)s",
                {
                    "host": backend_state.host,
                    "volume": case.spec.get("volume_id"),
                    "type": case.volume_type.get("name"),
                    "cause": cause,
                },
            )
        return cause is None


@dataclasses.dataclass(frozen=True)
class _Case:
    """A volume, and a back end that might take it.

    Attributes:
        host: the back end.
        can: its capabilities.
        spec: the request.
        volume_type: the volume's.
        specs: the type's extra specs.
        known: what was looked up for the request before.
    """

    host: str
    can: Mapping[str, Any]
    spec: Mapping[str, Any]
    volume_type: Mapping[str, Any]
    specs: Mapping[str, str]
    known: dict[str, Any]

    @classmethod
    def of(
        cls, state: Any, properties: Mapping[str, Any], known: dict[str, Any]
    ) -> "_Case":
        spec = properties.get("request_spec") or {}
        volume_type = properties.get("resource_type") or spec.get("volume_type") or {}
        return cls(
            state.host,
            state.capabilities or {},
            spec,
            volume_type,
            volume_type.get("extra_specs") or {},
            known,
        )

    @property
    def asked(self) -> Mapping[str, Any]:
        """The volume, as the request has it: without its place and its hosts."""
        return self.spec.get("volume_properties") or {}

    @property
    def stored(self) -> Any:
        """The volume, as the database has it."""
        if "volume" not in self.known:
            self.known["volume"] = objects.Volume.get_by_id(
                context.get_admin_context(), self.spec["volume_id"]
            )
        return self.known["volume"]

    @property
    def encrypted(self) -> bool:
        """Whether the volume is encrypted, or will be by its type."""
        if "encrypted" not in self.known:
            self.known["encrypted"] = bool(
                self.asked.get("encryption_key_id")
            ) or volume_types.is_encrypted(
                context.get_admin_context(), self.volume_type.get("id")
            )
        return bool(self.known["encrypted"])

    @property
    def moves(self) -> bool:
        """Whether the volume may leave its back end by this request."""
        return self.spec.get("operation") in _MOVES

    @property
    def grows(self) -> bool:
        """Whether the volume stays on its back end and only needs room."""
        return self.spec.get("operation") == "extend_volume"

    def means(self, key: str) -> bool:
        """Say whether an extra spec means true, in whatever form it is written."""
        words = str(self.specs.get(key, "")).replace("<or>", " ").split()
        return bool(words) and strutils.bool_from_string(words[-1])


def _spelling(case: _Case) -> str | None:
    if case.means("multiattach") and case.specs["multiattach"] != MULTIATTACH:
        return (
            f"multiattach='{case.specs['multiattach']}' would make a volume that is "
            f"not multi-attach; the type has to say multiattach='{MULTIATTACH}' to the "
            "letter"
        )
    return None


def _company(case: _Case) -> str | None:
    if not case.means("multiattach"):
        return None
    if case.means("cacheable"):
        return "a multi-attach volume cannot be cacheable: hosts would read old data"
    if not case.grows and case.encrypted:
        return "an encrypted volume cannot be multi-attach"
    return None


def _vendor(case: _Case) -> str | None:
    known = extra_specs.SPECS
    for name, value in case.specs.items():
        if not name.startswith(f"{extra_specs.PREFIX}:"):
            continue
        if name not in known:
            return f"there is no {name}; there are {', '.join(sorted(known))}"
        try:
            known[name].parse(value)
        except extra_specs.NotAllowedError as error:
            return str(error)
        if case.can.get("vendor_name") != capabilities.VENDOR:
            return f"it does not know {name}"
    return None


def _purpose(case: _Case) -> str | None:
    kept = case.can.get("multiattach_only") and not case.grows
    if not kept or case.means("multiattach"):
        return None
    return (
        "it is kept for multi-attach volumes (taikun_multiattach_only), and the type "
        f"does not say multiattach='{MULTIATTACH}'"
    )


def _room(case: _Case) -> str | None:
    full = case.can.get("multiattach_volumes_left") == 0 and not case.grows
    if not full or not case.means("multiattach"):
        return None
    if case.moves and case.asked.get("multiattach") and case.stored.host == case.host:
        return None  # it is one of them
    return (
        "it has as many multi-attach volumes as it may (taikun_max_multiattach_volumes)"
    )


def _move(case: _Case) -> str | None:
    if not case.moves or not case.asked.get("multiattach"):
        return None
    number = len(case.stored.volume_attachment)
    if number <= 1 or case.stored.host == case.host:
        return None
    return f"the volume has {number} attachments, so it cannot move; detach it first"


def _snapshot(case: _Case) -> str | None:
    """Refuse what LVM cannot do, so that the volume stays in use (``extension``)."""
    ours = case.can.get("vendor_name") == capabilities.VENDOR
    if not (case.grows and ours and case.can.get("thick_provisioning_support")):
        return None
    if case.stored.volume_attachment and case.stored.snapshots:
        return (
            "the volume is attached and has snapshots, and thick LVM cannot extend it "
            "so; detach it from all servers, or delete its snapshots"
        )
    return None


_CHECKS = (_spelling, _company, _vendor, _purpose, _room, _move, _snapshot)
