# SPDX-License-Identifier: Apache-2.0
"""``taikun-cinder audit``: all that differs between Cinder and the kernel, and why."""

from argparse import ArgumentParser, Namespace
from collections.abc import Collection, Iterator, Sequence

from taikun_cinder.cli import status
from taikun_cinder.cli.compared import ComparedBackend, coordinated
from taikun_cinder.cli.verb import (
    ListVerb,
    add_backend,
    name_of,
)
from taikun_cinder.database import VolumeRow
from taikun_cinder.survey import Seen, Survey
from taikun_cinder.targets.base import Finding
from taikun_cinder.words import of_error

#: The columns; the names are part of the interface, in JSON too.
COLUMNS = (
    "Back end",
    "Volume",
    "Initiator",
    "Difference",
    "Found",
    "Wanted",
    "Means",
    "Cause",
    "Reconcile",
)

Row = tuple[str, ...]


class Audit(ListVerb):
    """Tell all that differs between Cinder and the kernel, and why; change nothing.

    Each row is one difference: what the kernel has, what Cinder's attachments ask for,
    what follows, where it comes from as far as that can be told, and what the next pass
    of the reconcile does about it.

    The exit status is 0 if nothing differs, 1 if anything differs or could not be
    looked at, and 2 if nothing could be looked at.
    """

    EXAMPLE = "runuser -u cinder -- taikun-cinder audit --backend lvm1 -f json"

    def get_parser(self, prog_name: str) -> ArgumentParser:
        """Make what reads the verb's arguments."""
        parser = super().get_parser(prog_name)
        add_backend(parser)
        return parser

    def take_action(self, parsed_args: Namespace) -> tuple[Sequence[str], list[Row]]:
        """Look at all volumes of the back ends."""
        found = self.backends(ComparedBackend, parsed_args.backend)
        with coordinated():
            rows = list(self.rows(found))
        self.tell_if_none(parsed_args, rows)
        return COLUMNS, rows

    def tell_if_none(self, parsed_args: Namespace, rows: Sequence[Row]) -> None:
        """Say that nothing differs, where people would see an empty line for it."""
        if parsed_args.formatter == "table" and not rows and not self.status:
            self.complain("nothing differs")

    def rows(self, found: Sequence[ComparedBackend], only: str = "") -> Iterator[Row]:
        """Give a row for each difference, and take note that there are some.

        Args:
            found: the back ends.
            only: the volume that is asked about; empty for all.

        Raises:
            NothingDoneError: no back end has that volume.
        """
        volumes = 0
        for backend in found:
            with self.guarded(backend):
                backend.refuse_elsewhere()
                survey = backend.survey(self.wrong)
                chosen = self._chosen(survey, only)
                volumes += len(chosen)
                for volume in chosen:
                    yield from self._of_volume(backend, survey, volume)
                for orphan in () if only else sorted(survey.orphans()):
                    yield self._row(backend, orphan, *_ORPHAN)
        if only and not volumes:
            raise self.unknown(only, found)

    def _chosen(self, survey: Survey, only: str) -> Collection[VolumeRow]:
        if not only:
            return survey.volumes()
        volume = survey.find(only)
        return () if volume is None else (volume,)

    def _of_volume(
        self, backend: ComparedBackend, survey: Survey, volume: VolumeRow
    ) -> Iterator[Row]:
        try:
            seen = survey.of(volume)
        except Exception as error:
            self.wrong(f"volume {volume.id} cannot be looked at: {of_error(error)}")
            return
        if seen.is_busy and seen.findings:
            self.complain(
                f"volume {volume.id}: an operation on it is under way, and has been "
                "for some seconds; what differs may be about to change"
            )
        for finding in seen.findings:
            yield self._row(
                backend,
                volume.id,
                str(finding.initiator or ""),
                str(finding.kind),  # not an enum's, which YAML cannot have
                finding.found,
                finding.wanted,
                finding.means,
                seen.cause(finding),
                outlook(seen, finding),
            )

    def _row(self, backend: ComparedBackend, *values: str) -> Row:
        self.status = status.WRONG
        return name_of(backend), *values


_ORPHAN = (
    "",
    "export",
    "one",
    "none",
    "its hosts reach a disk that no volume of this back end stands for",
    "its row was deleted by hand, a migration failed half way, or the back end was "
    "renamed",
    "removes it, and leaves the logical volume as it is; hosts that are logged in keep "
    "it until it was missing in two passes",
)


def outlook(seen: Seen, finding: Finding) -> str:
    """Say what the next pass of the reconcile does about a difference."""
    if seen.is_blind:
        return "does nothing until the database can be read"
    if finding.waits:
        return "leaves it while attached hosts are logged in"
    if finding.initiator in seen.held:
        return (
            "holds it back: the host is logged in, and only a missing attachment asks "
            "for it. It ends in the pass after the next, if taikun_max_revocations "
            "lets it, or by taikun-cinder reconcile --yes"
        )
    if not finding.step:
        return "does it once the other differences are gone"
    return f"does {finding.step}"
