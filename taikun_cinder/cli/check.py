# SPDX-License-Identifier: Apache-2.0
"""``taikun-cinder check``: all that can be looked at before something breaks."""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence

from taikun_cinder import database
from taikun_cinder.checks import run
from taikun_cinder.checks.findings import Outcome
from taikun_cinder.checks.run import Result
from taikun_cinder.cli import backends, status
from taikun_cinder.cli.backends import Backend
from taikun_cinder.cli.verb import ListVerb, NothingDoneError, add_backend

#: The columns; the names are part of the interface, in JSON too.
COLUMNS = ("Back end", "Check", "Result", "Found", "Cure")

_BACKENDS = "back-ends"

Row = tuple[str, ...]


class Check(ListVerb):
    """Look at this node and around it, and tell what is wrong, each with its cure.

    It looks at all that a start of cinder-volume looks at, and at what a start cannot
    know: LVM's filters, room in thin pools, sudo by really using it, what the boot
    starts, the database, the clock. Nothing is changed. A check that gets no answer is
    given up after a time, and the others go on.

    A result is "ok", "warning" (it works, and should be put right), "failed" (something
    does not work) or "unknown" (it cannot be told from here).

    The exit status is 0 if nothing failed, 1 if anything did, and 2 if nothing could be
    looked at.
    """

    EXAMPLE = "runuser -u cinder -- taikun-cinder check --problems"

    def get_parser(self, prog_name: str) -> ArgumentParser:
        """Make what reads the verb's arguments."""
        parser = super().get_parser(prog_name)
        add_backend(parser)
        parser.add_argument(
            "--problems",
            action="store_true",
            help="tell only what is not ok",
        )
        return parser

    def take_action(self, parsed_args: Namespace) -> tuple[Sequence[str], list[Row]]:
        """Make all checks."""
        database.give_up_soon()
        complaints: list[str] = []
        found = list(backends.enabled(Backend, complaints.append))
        chosen = _chosen(found, parsed_args.backend)
        results = [
            *_of_configuration(found, complaints),
            *run.results(chosen, begin=self._begin),
        ]
        self._begin("")
        if any(result.outcome is Outcome.FAILED for result in results):
            self.status = status.WRONG
        rows = [
            _row(result)
            for result in results
            if not (parsed_args.problems and result.outcome is Outcome.OK)
        ]
        return COLUMNS, rows

    def _begin(self, check: str) -> None:
        """Show what is looked at now, where somebody waits for it at a terminal."""
        if self.app.stderr.isatty():
            self.app.stderr.write(f"\r\033[K{check}")
            self.app.stderr.flush()


def _chosen(found: Sequence[Backend], names: Sequence[str]) -> list[Backend]:
    """Give the back ends of these names, or all.

    Raises:
        NothingDoneError: there is none of a name.
    """
    known = {backend.name for backend in found}
    for name in names:
        if name not in known:
            raise NothingDoneError(
                f"this node has no back end [{name}] of this driver; it has "
                f"{', '.join(sorted(known)) or 'none'}"
            )
    return [one for one in found if not names or one.name in names]


def _of_configuration(
    found: Sequence[Backend], complaints: Sequence[str]
) -> Iterator[Result]:
    """Tell of back ends that cannot be looked at."""
    cure = (
        "Put it right in cinder.conf of cinder-volume (or name that file with "
        "--config-file), and restart cinder-volume."
    )
    for line in complaints:
        yield Result("", _BACKENDS, Outcome.FAILED, line, cure)
    if found:
        names = ", ".join(backend.name for backend in found)
        yield Result("", _BACKENDS, Outcome.OK, names, "")
    else:
        none = f"none in enabled_backends has volume_driver = {backends.DRIVER}"
        yield Result("", _BACKENDS, Outcome.FAILED, none, cure)


def _row(result: Result) -> Row:
    return (
        result.backend,
        result.check,
        result.outcome.value,
        result.found,
        result.cure,
    )
