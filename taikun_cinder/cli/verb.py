# SPDX-License-Identifier: Apache-2.0
"""What all verbs of the command have in common.

A verb prints its answer to the standard output, in the form that the operator chose,
and all complaints to the standard error. It asks what it needs, and nothing else: what
is down when an operator needs a verb must not be what the verb needs.
"""

import contextlib
from argparse import (
    ArgumentParser,
    ArgumentTypeError,
    Namespace,
    RawDescriptionHelpFormatter,
)
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from cliff import command, lister, show
from oslo_config import cfg
from oslo_log import log as logging

from taikun_cinder import words
from taikun_cinder.cli import backends, status
from taikun_cinder.cli.backends import B, Backend

LOG = logging.getLogger(__name__)


class NothingDoneError(Exception):
    """A verb cannot begin; the text says why, and what to do."""


class Verb(command.Command):
    """A verb.

    Attributes:
        status: the exit status, see ``status``; a verb raises it as it goes.
        seen: how many back ends could be looked at.
        unseen: how many could not.
    """

    app: Any

    #: A call of it, behind the help.
    EXAMPLE = ""

    status = status.RIGHT
    seen = unseen = 0

    def get_parser(self, prog_name: str) -> ArgumentParser:
        """Make what reads the verb's arguments."""
        parser = super().get_parser(prog_name)
        parser.formatter_class = RawDescriptionHelpFormatter
        return parser

    def get_epilog(self) -> str:
        """Give what stands behind the help."""
        return f"Example:\n\n  {self.EXAMPLE}"

    def run(self, parsed_args: Namespace) -> int:
        """Do it; give the exit status. What goes wrong is told in a line."""
        try:
            super().run(parsed_args)
        except NothingDoneError as error:
            self.complain(f"{error}. Nothing was done")
            return status.NOTHING_DONE
        except cfg.Error as error:
            self.complain(f"the configuration cannot be read: {words.cause(error)}")
            return status.NOTHING_DONE
        except BrokenPipeError:
            raise
        except Exception as error:
            LOG.debug("A verb failed. %s", words.trace(error))
            self.complain(words.of_error(error))
            return status.WRONG
        return status.NOTHING_DONE if self.unseen and not self.seen else self.status

    def complain(self, line: str) -> None:
        """Tell the operator what is wrong; the answer goes on."""
        self.app.complain(line)

    def wrong(self, line: str) -> None:
        """Tell the operator what is wrong, and end with the status for that."""
        self.complain(line)
        self.status = status.WRONG

    def backends(self, kind: type[B], names: Collection[str] = ()) -> list[B]:
        """Give the back ends of this node, or of these names only.

        Args:
            kind: as what: a ``Backend``, or a ``ComparedBackend``.
            names: of their sections; none for all.

        Raises:
            NothingDoneError: there is none, or none of a name, or another user than
                this one has to look after them.
        """
        found = list(backends.enabled(kind, self.wrong))
        if not found:
            raise NothingDoneError(
                f"no back end in enabled_backends has volume_driver = {backends.DRIVER}"
            )
        for name in names:
            if name not in {backend.name for backend in found}:
                known = ", ".join(backend.name for backend in found)
                raise NothingDoneError(
                    f"this node has no back end [{name}] of this driver; it has {known}"
                )
        chosen = [one for one in found if not names or one.name in names]
        self._refuse_another_user(chosen)
        return chosen

    def _refuse_another_user(self, found: Sequence[Backend]) -> None:
        for backend in found:
            if owner := backend.records.owner():
                raise NothingDoneError(
                    f"{backend.records.folder} belongs to user {owner}: run this as "
                    f"that user, with runuser -u {owner} -- {self.app.NAME} "
                    f"{self.cmd_name}"
                )

    def unknown(self, volume: str, found: Sequence[Backend]) -> NothingDoneError:
        """Give the error that no back end of this node has a volume, as far as is seen.

        Args:
            volume: as the operator named it.
            found: the back ends that were looked at, or could not be.
        """
        hosts = ", ".join(map(name_of, found))
        if self.unseen:
            return NothingDoneError(
                f"volume {volume} was not found, and not all of {hosts} could be "
                "looked at; taikun-cinder check tells what is wrong with this node"
            )
        return NothingDoneError(
            f"there is no volume {volume} of {hosts} (openstack volume show tells the "
            "host of a volume, as os-vol-host-attr:host)"
        )

    @contextlib.contextmanager
    def guarded(self, backend: Backend) -> Iterator[None]:
        """Tell what is wrong with a back end, and go on."""
        try:
            yield
            self.seen += 1
        except Exception as error:
            self.unseen += 1
            LOG.debug("A back end cannot be looked at. %s", words.trace(error))
            said = words.of_error(error)
            self.wrong(f"{name_of(backend)}: it cannot be looked at: {said}")


def name_of(backend: Backend) -> str:
    """Give the name of a back end, also of one that is not told what it is called."""
    try:
        return backend.host
    except cfg.Error:
        return f"back end [{backend.name}]"


def filled(text: str) -> str:
    """Refuse an argument that is empty, as of a script whose variable is not set.

    Raises:
        ArgumentTypeError: it is.
    """
    if not text.strip():
        raise ArgumentTypeError("it is empty")
    return text


def add_backend(parser: ArgumentParser, *, required: bool = False) -> None:
    """Let a verb be told for which back ends it is, or make it be told."""
    parser.add_argument(
        "--backend",
        type=filled,
        action="append",
        default=[],
        required=required,
        metavar="SECTION",
        help="only for the back end of this section of cinder.conf; can be repeated",
    )


def add_volume(parser: ArgumentParser) -> None:
    """Let a verb be told which volume it is about."""
    parser.add_argument(
        "volume",
        type=filled,
        metavar="VOLUME",
        help="its id, or the name of its target or its logical volume",
    )


class ListVerb(Verb, lister.Lister):
    """A verb whose answer is a table: ``take_action`` gives its columns and rows."""

    #: Whether lines are broken so that the table fits a terminal. Sentences bear it; a
    #: volume's id that is broken cannot be copied.
    FIT = True

    def get_parser(self, prog_name: str) -> ArgumentParser:
        """Make what reads the verb's arguments."""
        parser = super().get_parser(prog_name)
        parser.set_defaults(fit_width=self.FIT)
        return parser


class ShowVerb(Verb, show.ShowOne):
    """A verb whose answer is one thing: ``take_action`` gives names and values."""
