# SPDX-License-Identifier: Apache-2.0
"""``taikun-cinder reconcile``: what differs from Cinder's attachments, and its end.

The service reconciles by itself. This command shows what a pass would do, and, with
``--yes``, does it, including what the service holds back because so many hosts would
lose their access at once (see ``brake``).
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

from taikun_cinder.cli.audit import COLUMNS, Audit, Row
from taikun_cinder.cli.compared import ComparedBackend, coordinated
from taikun_cinder.cli.verb import filled, name_of


class Reconcile(Audit):
    """Tell what differs, as audit does; with --yes, put it right.

    With --yes each difference is put right, also where cinder-volume holds back because
    many hosts would lose a disk. Without it nothing is changed.

    The exit status is 0 if nothing differs, or everything was put right; 1 if anything
    differs still, or could not be looked at; and 2 if nothing was done.
    """

    EXAMPLE = (
        "runuser -u cinder -- taikun-cinder reconcile --yes "
        "--volume a3c1e5d2-7e2a-4c0e-9b7f-0d5a6a0f4f11"
    )

    def get_parser(self, prog_name: str) -> ArgumentParser:
        """Make what reads the verb's arguments."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "--volume",
            type=filled,
            metavar="ID",
            help="only the export of this volume",
        )
        parser.add_argument(
            "--yes", action="store_true", help="do it; without this nothing is changed"
        )
        return parser

    def take_action(self, parsed_args: Namespace) -> tuple[Sequence[str], list[Row]]:
        """Tell the differences, and put them right if that is wanted."""
        found = self.backends(ComparedBackend, parsed_args.backend)
        left_out = self.status  # a back end that cannot be told how it is
        with coordinated():
            rows = list(self.rows(found, parsed_args.volume or ""))
            if parsed_args.yes:
                self.status = left_out
                for backend in found:
                    with self.guarded(backend):
                        backend.refuse_elsewhere()
                        self._put_right(backend, parsed_args.volume)
            else:
                self.tell_if_none(parsed_args, rows)
        return COLUMNS, rows

    def _put_right(self, backend: ComparedBackend, only: str | None) -> None:
        if only:
            volume = backend.survey(self.wrong).find(only)
            if volume is None:
                return
            failed = backend.reconcile.one(volume)
        else:
            failed = backend.reconcile.once(confirmed=True)
        told = f"{name_of(backend)}: reconciled"
        if failed:
            self.wrong(f"{told}, and {failed} volume(s) failed (see the log)")
        else:
            self.complain(told)
