# SPDX-License-Identifier: Apache-2.0
"""The command ``taikun-cinder``: its options, its verbs, and what calls them.

It is an application of cliff's, as the OpenStack clients are.
"""

import argparse
import contextlib
import io
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any, NoReturn

from cliff import app, commandmanager

from taikun_cinder import version
from taikun_cinder.cli import configuration, status

_PROGRAM = "taikun-cinder"

_DESCRIPTION = (
    "Look after the exports of shared Cinder volumes on this storage node. Run it as "
    "the user of cinder-volume."
)

#: Where the class of each verb is.
VERBS: Mapping[str, str] = {
    "audit": "taikun_cinder.cli.audit:Audit",
    "check": "taikun_cinder.cli.check:Check",
    "fence": "taikun_cinder.cli.fence:FenceVerb",
    "reconcile": "taikun_cinder.cli.reconcile:Reconcile",
    "restore": "taikun_cinder.cli.restore:RestoreVerb",
    "topology": "taikun_cinder.cli.topology.verb:Topology",
    "unexport": "taikun_cinder.cli.unexport:UnexportVerb",
    "volume list": "taikun_cinder.cli.volume_list:VolumeList",
    "volume show": "taikun_cinder.cli.volume_show:VolumeShow",
}

#: These need no configuration.
_FREE = ("help", "complete")


class Verbs(commandmanager.CommandManager):
    """The verbs. Each is imported when it is needed; a boot has no time for all."""

    def _load_commands(self) -> None:
        # Not from entry points: which verbs there are does not depend on what else is
        # installed, and a checkout has its own.
        for name, place in VERBS.items():
            self.commands[name] = metadata.EntryPoint(name, place, str(self.namespace))


class Application(app.App):
    """The command.

    Args:
        streams: where it reads and writes; the process's own without any.
    """

    NAME = _PROGRAM

    def __init__(self, **streams: Any) -> None:
        super().__init__(
            description=_DESCRIPTION,
            version=version.text(),
            command_manager=Verbs("taikun_cinder.cli"),
            deferred_help=True,
            **streams,
        )

    def build_option_parser(
        self,
        description: str | None,
        version: str | None,
        argparse_kwargs: dict[str, Any] | None = None,
    ) -> argparse.ArgumentParser:
        """Make what reads the options that all verbs have."""
        parser = argparse.ArgumentParser(
            prog=_PROGRAM,
            usage="%(prog)s [OPTION ...] VERB [ARGUMENT ...]",
            description=description,
            add_help=False,
            allow_abbrev=False,  # or a verb's own option could be taken for one
            **(argparse_kwargs or {}),
        )
        parser.add_argument("--version", action="version", version=str(version))
        parser.add_argument(
            "-h",
            "--help",
            dest="deferred_help",
            action="store_true",
            help="print this, or with a verb what is to be known about it, and end",
        )
        for option, what in ("file", "this file"), ("dir", "the files *.conf of this"):
            parser.add_argument(
                f"--config-{option}",
                action="append",
                default=[],
                metavar=option.upper(),
                help=f"read {what} instead of cinder-volume's; can be repeated",
            )
        parser.add_argument(
            "--debug",
            action="store_true",
            help="log more, and show where an error comes from",
        )
        return parser

    def configure_logging(self) -> None:
        """Do nothing: oslo.log does it, as cinder.conf says."""

    def interact(self) -> None:
        """Say which verbs there are, since none was given."""
        self.options.deferred_help = True
        self.print_help_if_requested()

    def run_subcommand(self, argv: list[str]) -> int:
        """Run the verb that these arguments begin with; give the exit status."""
        if argv[0] not in _FREE:
            try:
                configuration.read(
                    _PROGRAM,
                    self.options.config_file,
                    self.options.config_dir,
                    debug=self.options.debug,
                )
            except configuration.UnreadableError as error:
                self.complain(f"{error}. Nothing was done")
                return status.NOTHING_DONE
        return super().run_subcommand(argv)

    def complain(self, line: str) -> None:
        """Tell the operator what is wrong, beside what a verb prints.

        Nobody may hear it any more. The verb goes on, as what it does must not be done
        by halves.
        """
        said = " ".join(line.split())
        with contextlib.suppress(OSError):
            print(f"{_PROGRAM}: {said}", file=self.stderr)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; give its exit status, see ``status``.

    Args:
        argv: the arguments; None for the process's own.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A name that the terminal has no letters for must not take the answer away.
        sys.stdout.reconfigure(errors="backslashreplace")
    return Application().run(sys.argv[1:] if argv is None else list(argv))


def run() -> NoReturn:
    """Run the command as this process, and end it at once.

    Python takes half a second to take its modules apart, and more on a busy node. Hosts
    may wait for that.
    """
    ended = main()
    logging.shutdown()
    try:
        if sys.stdout:  # it is None where the caller has closed it
            sys.stdout.flush()
    except OSError as error:
        ended = ended or status.WRONG
        with contextlib.suppress(OSError):
            print(f"{_PROGRAM}: the answer is lost: {error.strerror}", file=sys.stderr)
    with contextlib.suppress(OSError):
        if sys.stderr:
            sys.stderr.flush()
    os._exit(ended)


if __name__ == "__main__":
    run()
