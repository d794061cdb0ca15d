# SPDX-License-Identifier: Apache-2.0
"""``taikun-cinder restore``: hosts get their disks back before Cinder is up.

Meant for the boot of a storage node, before cinder-volume (see
``etc/systemd/taikun-cinder-restore.service``). It needs neither the database nor the
message bus, only the records that the driver left. cinder-volume puts right what has
changed since.
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from cinder import coordination
from oslo_log import log as logging

from taikun_cinder import exports, volume_groups
from taikun_cinder.access.model import Export
from taikun_cinder.records import Record, Records
from taikun_cinder.targets.base import Changed, Target

LOG = logging.getLogger(__name__)

#: After how many volumes the progress is told.
_EVERY = 50


class Restore:
    """Exports again what a node exported last.

    Args:
        target: what exports.
        say: tells the operator a line.
        coordinator: gives the volumes' locks.
    """

    def __init__(
        self,
        target: Target,
        say: Callable[[str], object],
        coordinator: coordination.Coordinator = coordination.COORDINATOR,
    ) -> None:
        self._target = target
        self._say = say
        self._coordinator = coordinator

    def run(self, records: Records, groups: Iterable[volume_groups.Group]) -> bool:
        """Export all volumes of these volume groups; say whether all went well."""
        if self._belongs_to_another(records.folder):
            return False
        began = time.monotonic()
        by_folder = {str(group.folder): group for group in groups}
        with self._started():
            todo = list(self._expected(records, by_folder))
            failed = 0
            for number, volume_id in enumerate(todo, start=1):
                failed += not self._one(records, volume_id, by_folder)
                if number % _EVERY == 0:
                    self._say(f"{number} of {len(todo)} volumes")
        self._say(
            f"{len(todo) - failed} of {len(todo)} volumes recorded in {records.folder} "
            f"are exported, after {time.monotonic() - began:.1f} s"
        )
        return not failed

    def _belongs_to_another(self, folder: Path) -> bool:
        """Refuse to leave locks behind that cinder-volume could not take."""
        if not folder.exists() or folder.stat().st_uid == os.geteuid():
            return False
        self._say(
            f"{folder} belongs to user {folder.owner()}: run this as that user, with "
            f"runuser -u {folder.owner()} -- taikun-cinder restore"
        )
        return True

    @contextlib.contextmanager
    def _started(self) -> Iterator[None]:
        try:
            self._coordinator.start()
        except Exception as error:
            LOG.warning(
                "The coordination back end cannot be reached (%s). The exports are "
                "restored without its locks, so cinder-volume must not run yet.",
                type(error).__name__,
            )
        try:
            yield
        finally:
            self._coordinator.stop()

    @staticmethod
    def _expected(
        records: Records, groups: dict[str, volume_groups.Group]
    ) -> Iterator[str]:
        for volume_id in records.volumes():
            export = (records.load(volume_id) or Record()).export
            if export is not None and str(Path(export.device).parent) in groups:
                yield volume_id

    def _one(
        self, records: Records, volume_id: str, groups: dict[str, volume_groups.Group]
    ) -> bool:
        try:
            with self._lock(volume_id):
                # Read again: cinder-volume may have ended it meanwhile.
                export = (records.load(volume_id) or Record()).export
                if export is not None:
                    device = Path(export.device)
                    groups[str(device.parent)].activate(device.name)
                    self._export(volume_id, export)
        except Exception as error:
            self._say(f"volume {volume_id} is not exported: {error}")
            return False
        return True

    def _lock(self, volume_id: str) -> contextlib.AbstractContextManager[object]:
        if not self._coordinator.started:
            return contextlib.nullcontext()
        lock: contextlib.AbstractContextManager[object] = self._coordinator.get_lock(
            exports.lock_name(volume_id)
        )
        return lock

    def _export(self, volume_id: str, export: Export) -> None:
        outcome = self._target.ensure(export.target, export)
        if isinstance(outcome, Changed):
            hosts = ", ".join(sorted(str(one.initiator) for one in export.grants))
            self._say(f"volume {volume_id} is exported again to {hosts}")
