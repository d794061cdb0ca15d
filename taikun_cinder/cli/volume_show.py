# SPDX-License-Identifier: Apache-2.0
"""``taikun-cinder volume show``: who uses a volume, by Cinder and by the kernel."""

import dataclasses
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from typing import Any

from cliff import columns

from taikun_cinder import words
from taikun_cinder.access.fence import Fence
from taikun_cinder.accesses import accesses
from taikun_cinder.cli.audit import outlook
from taikun_cinder.cli.compared import ComparedBackend, coordinated
from taikun_cinder.cli.verb import (
    NothingDoneError,
    ShowVerb,
    add_backend,
    add_volume,
    name_of,
)
from taikun_cinder.database import VolumeRow
from taikun_cinder.survey import Seen, Survey
from taikun_cinder.targets.inspection import Reservation

#: What nobody has said.
_UNTOLD = "-"


class VolumeShow(ShowVerb):
    """Show who uses a volume: Cinder's attachments beside what the kernel has.

    Each use says its server and host, the mode that its attachment asks for and the one
    that the kernel enforces, and whether the host is logged in, and from where. What
    differs is said with its cause and with what the reconcile does about it.

    It works without Cinder's database too, and says what it then cannot tell.

    The exit status is 0, or 2 if the volume is not here or could not be looked at.
    """

    EXAMPLE = (
        "runuser -u cinder -- taikun-cinder volume show "
        "a3c1e5d2-7e2a-4c0e-9b7f-0d5a6a0f4f11"
    )

    def get_parser(self, prog_name: str) -> ArgumentParser:
        """Make what reads the verb's arguments."""
        parser = super().get_parser(prog_name)
        add_volume(parser)
        add_backend(parser)
        return parser

    def take_action(self, parsed_args: Namespace) -> tuple[Sequence[str], Any]:
        """Look at the volume."""
        found = self.backends(ComparedBackend, parsed_args.backend)
        with coordinated():
            for backend in found:
                volume = None
                with self.guarded(backend):
                    backend.refuse_elsewhere()
                    survey = backend.survey(self.complain)
                    volume = survey.find(parsed_args.volume)
                if volume:
                    return self.dict2columns(_shown(backend, _seen(survey, volume)))
        raise self.unknown(parsed_args.volume, found)


def _seen(survey: Survey, volume: VolumeRow) -> Seen:
    try:
        return survey.of(volume)
    except Exception as error:
        told = words.of_error(error).rstrip(".")
        raise NothingDoneError(
            f"volume {volume.id} cannot be looked at: {told}"
        ) from error


class Lines(columns.FormattableColumn):  # type: ignore[type-arg]
    """Several things of one kind, each a line for people."""

    def human_readable(self) -> str:
        """Give a line for each."""
        return "\n".join(_line(one) for one in self._value) or "none"


def _line(one: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name} {value}"
        for name, value in one.items()
        if value not in ("", None) and value is not False
    )


def differences(seen: Seen) -> list[dict[str, str]]:
    """Give all that differs, with its cause and what the reconcile does about it."""
    return [
        {
            "initiator": str(finding.initiator or ""),
            "difference": str(finding.kind),  # not an enum's, which YAML cannot have
            "found": finding.found,
            "wanted": finding.wanted,
            "means": finding.means,
            "cause": seen.cause(finding),
            "reconcile": outlook(seen, finding),
        }
        for finding in seen.findings
    ]


def _shown(backend: ComparedBackend, seen: Seen) -> dict[str, Any]:
    shown, details = seen.shown, seen.details
    uses = [dataclasses.asdict(use) for use in accesses(seen)]
    portals = [{"portal": str(one)} for one in sorted(details.portals, key=str)]
    return {
        "id": seen.volume.id,
        "status": seen.volume.status,
        "back end": name_of(backend),
        "target": seen.known.target,
        "device": shown.device or _UNTOLD,
        "serial": shown.serial or _UNTOLD,
        "portals": Lines(portals),
        "uses": Lines(uses),
        "reservation": Lines(_reservation(details.reservation)),
        "fences": Lines([_fence(fence) for fence in seen.known.fences]),
        "differences": Lines(differences(seen)),
        "under way": "an operation" if seen.is_busy else "nothing",
    }


def _fence(fence: Fence) -> dict[str, Any]:
    left = ", ".join(sorted(fence.attachments))
    return {
        "initiator": str(fence.initiator),
        "until deleted": left if fence.settled else "all attachments that it has",
    }


def _reservation(found: Reservation) -> list[dict[str, Any]]:
    registered = [{"registered": str(one)} for one in sorted(found.registered)]
    if found.holder is None:
        return registered
    return [{"kind": found.kind, "holder": str(found.holder)}, *registered]
