# SPDX-License-Identifier: Apache-2.0
"""``taikun-cinder unexport``: a back end leaves this node, and its volumes are free.

Meant for a cluster manager that moves the back end's volume group to another node, see
``etc/ocf``. It needs neither LVM, nor the database, nor the message bus, and changes no
record: by these the other node exports the same.
"""

import contextlib
from argparse import ArgumentParser, Namespace
from pathlib import Path

from cinder import coordination

from taikun_cinder import words
from taikun_cinder.cli import status
from taikun_cinder.cli.backends import Backend
from taikun_cinder.cli.verb import Verb, add_backend, name_of
from taikun_cinder.cli.volume_locks import VolumeLocks


class UnexportVerb(Verb):
    """Remove all exports of a back end from this node, as its volume group moves away.

    Hosts that are logged in lose their sessions; their I/O waits for the other node, as
    long as their initiators let it. When it has ended with 0, no write is under way.
    Stop cinder-volume of the back end before: it would export again what attachments
    ask for. Attachments and records stay as they are.

    The exit status is 0 if nothing of the back end is exported any more, 1 if anything
    is, or could not be looked at, and 2 if nothing was done.
    """

    EXAMPLE = "runuser -u cinder -- taikun-cinder unexport --backend lvm1"

    def get_parser(self, prog_name: str) -> ArgumentParser:
        """Make what reads the verb's arguments."""
        parser = super().get_parser(prog_name)
        add_backend(parser, required=True)
        return parser

    def take_action(self, parsed_args: Namespace) -> None:
        """Remove the exports of the back ends."""
        found = self.backends(Backend, parsed_args.backend)
        locks = VolumeLocks(coordination.COORDINATOR, "The exports are removed")
        with locks.started():
            for backend in found:
                with self.guarded(backend):
                    self._unexport(backend, locks)

    def _unexport(self, backend: Backend, locks: VolumeLocks) -> None:
        layout = backend.layout
        removed = failed = 0
        for name in sorted(backend.target.names("")):
            if (name_id := layout.name_id(name)) is None:
                continue
            try:
                with locks.of(name_id):
                    removed += _remove(backend, name, name_id)
            except Exception as error:
                failed += 1
                self.wrong(f"{name} is exported still: {words.of_error(error)}")
        with contextlib.suppress(OSError):
            left = f", and {failed} are left" if failed else ""
            print(
                f"{name_of(backend)}: {removed} exports of {layout.group} are "
                f"removed{left}",
                file=self.app.stdout,
                flush=True,
            )
        if failed:
            self.status = status.WRONG


def _remove(backend: Backend, name: str, name_id: str) -> bool:
    """Remove what has the name of a volume's target, if it is the back end's.

    It is, if its device is a logical volume of the back end's group. What has no device
    may be in an odd place, and keep a volume of that name open.
    """
    named = backend.layout.name(name_id)
    device = backend.target.read(name).device
    if device is None:
        if not (backend.group.folder / named).exists():
            return False
    elif Path(device).parent != backend.group.folder:
        return False
    return bool(backend.target.ensure(name, None, search=device is None).changes)
