# SPDX-License-Identifier: Apache-2.0
"""``taikun-cinder volume list``: the volumes of this node that hosts use."""

import difflib
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from typing import Any

from taikun_cinder.access.model import Mode
from taikun_cinder.accesses import Access, accesses
from taikun_cinder.cli.compared import ComparedBackend, coordinated
from taikun_cinder.cli.verb import (
    ListVerb,
    add_backend,
    filled,
    name_of,
)
from taikun_cinder.database import VolumeRow
from taikun_cinder.survey import Seen, Survey
from taikun_cinder.words import of_error

COLUMNS = (
    "Back end",
    "Volume",
    "Status",
    "Hosts",
    "Writing hosts",
    "Logged in",
    "Attachments",
    "Differences",
)


class VolumeList(ListVerb):
    """List the volumes of this node that are attached, exported or recorded.

    The numbers of hosts are the kernel's: who can reach the volume, who can write to
    it, who is logged in. The attachments are Cinder's. With differences, ask
    "volume show" about the volume, or "audit" about all.

    It works without Cinder's database too, and says what it then cannot tell.

    The exit status is 0 if everything could be looked at, 1 if something could not, and
    2 if nothing could.
    """

    EXAMPLE = "runuser -u cinder -- taikun-cinder volume list --host compute1"
    FIT = False

    def get_parser(self, prog_name: str) -> ArgumentParser:
        """Make what reads the verb's arguments."""
        parser = super().get_parser(prog_name)
        add_backend(parser)
        parser.add_argument(
            "--host",
            type=filled,
            metavar="NAME",
            help="only the volumes that this host can reach or has attached, by its "
            "name or its initiator's",
        )
        return parser

    def take_action(
        self, parsed_args: Namespace
    ) -> tuple[Sequence[str], list[tuple[Any, ...]]]:
        """Look at all volumes of the back ends."""
        found = self.backends(ComparedBackend, parsed_args.backend)
        with coordinated():
            looked_at = [
                (backend, seen, uses)
                for backend in found
                for seen, uses in self.volumes(backend)
            ]
        host = parsed_args.host
        self.tell_if_unused(host, [use for *_, uses in looked_at for use in uses])
        rows = [
            _row(backend, seen, uses)
            for backend, seen, uses in looked_at
            if not host or any(_is_of(use, host) for use in uses)
        ]
        return COLUMNS, rows

    def tell_if_unused(self, host: str | None, uses: Sequence[Access]) -> None:
        """Say that a host uses no volume here, as one that is misspelt does."""
        if host is None or any(_is_of(use, host) for use in uses):
            return
        names = {name for use in uses for name in (use.host, use.initiator) if name}
        like = ", ".join(difflib.get_close_matches(host, sorted(names)))
        meant = f"; these have a name like it: {like}" if like else ""
        self.complain(f"no host {host} uses a volume that was looked at{meant}")

    def volumes(self, backend: ComparedBackend) -> Iterator[tuple[Seen, list[Access]]]:
        """Look at the volumes of a back end, each with who uses it."""
        with self.guarded(backend):
            backend.refuse_elsewhere()
            survey = backend.survey(self.wrong)
            for volume in survey.volumes():
                if seen := self._seen(survey, volume):
                    yield seen, accesses(seen)

    def _seen(self, survey: Survey, volume: VolumeRow) -> Seen | None:
        try:
            return survey.of(volume)
        except Exception as error:
            self.wrong(f"volume {volume.id} cannot be looked at: {of_error(error)}")
            return None


def _is_of(use: Access, host: str) -> bool:
    return host.lower() in (use.host.lower(), use.initiator.lower())


def _row(backend: ComparedBackend, seen: Seen, uses: list[Access]) -> tuple[Any, ...]:
    hosts = seen.shown.hosts.values()
    return (
        name_of(backend),
        seen.volume.id,
        seen.volume.status,
        sum(host.mode is not None or host.readers_disk for host in hosts),
        sum(host.mode is Mode.RW for host in hosts),
        len(seen.shown.connected),
        None if seen.is_blind else sum(bool(use.attachment) for use in uses),
        len(seen.findings),
    )
