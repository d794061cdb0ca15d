# SPDX-License-Identifier: Apache-2.0
"""``taikun-cinder restore``: hosts get their disks back before Cinder is up.

Meant for the boot of a storage node, before cinder-volume (see
``etc/systemd/taikun-cinder-restore.service``). It needs neither the database nor the
message bus, only the records that the driver left. cinder-volume puts right what has
changed since.
"""

import contextlib
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from cinder import coordination

from taikun_cinder import group_faults, target_faults, words
from taikun_cinder.access.model import Export
from taikun_cinder.cli import backends, status
from taikun_cinder.cli.backends import Backend
from taikun_cinder.cli.verb import NothingDoneError, Verb, add_backend
from taikun_cinder.cli.volume_locks import VolumeLocks
from taikun_cinder.exception import ActivationRefused
from taikun_cinder.node import Node, Problem
from taikun_cinder.records import Records
from taikun_cinder.targets.base import Target
from taikun_cinder.volume_record import Record

#: After how many volumes the progress is told.
_EVERY = 50

#: What ``--when-told`` waits for.
GO = "go"


class RestoreVerb(Verb):
    """Export again what this node exported last, at its boot, before cinder-volume.

    It needs neither Cinder's database nor the message bus, only the records that the
    driver left. A back end that is named must be on this node: one whose volume group
    moves between nodes is where the group is started.

    The exit status is 0 if all that is recorded is exported, 1 if anything is not, and
    2 if nothing was done.
    """

    EXAMPLE = "runuser -u cinder -- taikun-cinder restore"

    def get_parser(self, prog_name: str) -> ArgumentParser:
        """Make what reads the verb's arguments."""
        parser = super().get_parser(prog_name)
        add_backend(parser)
        parser.add_argument(
            "--when-told",
            action="store_true",
            help=f"get ready, and begin when the line '{GO}' comes on the standard "
            "input; anything else, or its end: nothing is done. For a cluster manager, "
            "which may start the volume group here some day.",
        )
        return parser

    def take_action(self, parsed_args: Namespace) -> None:
        """Restore the back ends of this node."""
        if parsed_args.when_told:
            self._wait()
        enabled = self.backends(Backend, parsed_args.backend)
        is_here = self._is_surely_here if parsed_args.backend else self._is_here
        here = list(filter(is_here, enabled))
        found = [backend for backend in here if self._can_export(backend, Node())]
        by_folder: dict[Path, list[Backend]] = {}
        for backend in found:
            by_folder.setdefault(backend.records.folder, []).append(backend)
        restore = Restore(self._say)
        for path, own in by_folder.items():
            try:
                if not restore.run(Records(path), own):
                    self.status = status.WRONG
                self.seen += len(own)
            except OSError as error:
                self.unseen += len(own)
                self.wrong(f"the records in {path} cannot be read: {error.strerror}")

    def _wait(self) -> None:
        """Do what takes time and can be done everywhere, and wait for the word.

        That is, to import all that is needed, to start the privileged process, and to
        load the kernel's modules.

        Raises:
            NothingDoneError: the word does not come.
        """
        # What is wrong is told when it has been looked at anew.
        for backend in backends.enabled(Backend, lambda _line: None):
            list(target_faults.of_targets(backend.options, Node()))
        said = self.app.stdin.readline().strip()
        if said != GO:
            raise NothingDoneError(f"the standard input says {said!r} and not {GO!r}")

    def _say(self, line: str) -> None:
        with contextlib.suppress(OSError):  # hosts wait for their disks
            print(line, file=self.app.stdout, flush=True)

    def _is_here(self, backend: Backend) -> bool:
        """Tell which back ends a cluster manager starts where it likes."""
        try:
            backend.refuse_elsewhere()
        except ActivationRefused as elsewhere:
            self._say(f"back end [{backend.name}] is left alone: {elsewhere.cause}")
            return False
        return True

    def _is_surely_here(self, backend: Backend) -> bool:
        """Tell why the node has not got the volume group, unless it has."""
        if backend.records.state_volume(backend.group.folder.name):
            return True  # without LVM: hosts wait
        problems = list(group_faults.of_volume_group(backend.options))
        return self._judge(backend, problems)

    def _can_export(self, backend: Backend, node: Node) -> bool:
        """Tell what keeps the node from exporting, as the driver does at its start."""
        problems = list(target_faults.of_targets(backend.options, node))
        return self._judge(backend, problems)

    def _judge(self, backend: Backend, problems: Sequence[Problem]) -> bool:
        for problem in problems:
            self.complain(f"back end [{backend.name}]: {problem.fault}. {problem.cure}")
        if all(problem.tolerable for problem in problems):
            return True
        self.unseen += 1
        self.wrong(f"back end [{backend.name}] is not restored")
        return False


class Restore:
    """Exports again what a node exported last.

    Args:
        say: tells the operator a line.
        coordinator: gives the volumes' locks.
    """

    def __init__(
        self,
        say: Callable[[str], object],
        coordinator: coordination.Coordinator = coordination.COORDINATOR,
    ) -> None:
        self._say = say
        self._locks = VolumeLocks(coordinator, "The exports are restored")
        self._exported = self._failed = 0

    def run(self, records: Records, own: Iterable[Backend]) -> bool:
        """Export all volumes of these back ends; say whether all went well."""
        began = time.monotonic()
        by_folder = {str(backend.group.folder): backend for backend in own}
        self._failed = self._exported = 0
        with self._locks.started():
            for number, volume_id in enumerate(records.volumes(), start=1):
                self._restore(records, volume_id, by_folder)
                if number % _EVERY == 0:
                    self._say(f"{number} volumes looked at")
        self._say(
            f"{self._exported} of {self._exported + self._failed} volumes recorded in "
            f"{records.folder} are exported, after {time.monotonic() - began:.1f} s"
        )
        return not self._failed

    def _restore(
        self,
        records: Records,
        volume_id: str,
        by_folder: Mapping[str, Backend],
    ) -> None:
        try:
            with self._locks.of(volume_id):
                record = records.read(volume_id) or Record()
                if record.export is None:
                    return
                device = Path(record.export.device)
                backend = by_folder.get(str(device.parent))
                if backend is None or self._is_strange(volume_id, record, backend):
                    return
                backend.group.activate(device.name)
                export = _without_fenced(records, volume_id, record, record.export)
                self._export(backend.target, volume_id, export)
                self._exported += 1
        except Exception as error:
            self._failed += 1
            self._say(f"volume {volume_id} is not exported: {words.of_error(error)}")

    def _is_strange(self, volume_id: str, record: Record, backend: Backend) -> bool:
        """Say whether a record is not what its place says; tell the operator.

        Disks that another node exports by now, or a volume that was given to another
        back end, would be let out twice.
        """
        about, export = record.about, record.export
        if about is None or export is None:
            return False  # an older version did not say
        if about.state_volume and not record.is_of_this_node:
            cause = (
                f"its record is of the node {about.node}, and a copy of one on the "
                "state volume of its group"
            )
        elif not record.is_of_this_node:
            cause = f"its record is of the node {about.node}"
        elif not Path(export.device).name.endswith(volume_id):
            cause = f"its record speaks of {export.device}"
        elif about.backend != backend.host:
            cause = (
                f"its record is of the back end {about.backend}, and the one with its "
                f"volume group is {backend.host}"
            )
        else:
            return False
        self._failed += 1
        self._say(
            f"volume {volume_id} is not exported: {cause}. Start cinder-volume: it "
            "goes by Cinder's attachments, and writes the record anew or deletes it"
        )
        return True

    def _export(self, target: Target, volume_id: str, export: Export) -> None:
        if target.ensure(export.target, export).changes:
            hosts = ", ".join(sorted(str(grant.initiator) for grant in export.grants))
            self._say(f"volume {volume_id} is exported again to {hosts}")


def _without_fenced(
    records: Records, volume_id: str, record: Record, export: Export
) -> Export:
    """Give a record's export without hosts that were fenced since it was recorded.

    A host may have been let in again since, by a new attachment.
    """
    fences = records.fences.of(volume_id)
    return export.without(
        {one.initiator for one in fences if one.keeps_out(record.ledger)}
    )
