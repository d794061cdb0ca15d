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
from collections.abc import Callable, Iterable, Iterator, Mapping
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
        self._exported = self._failed = 0

    def run(self, records: Records, groups: Iterable[volume_groups.Group]) -> bool:
        """Export all volumes of these volume groups; say whether all went well."""
        if self._belongs_to_another(records.folder):
            return False
        began = time.monotonic()
        by_folder = {str(group.folder): group for group in groups}
        self._failed = self._exported = 0
        with self._started():
            for number, volume_id in enumerate(records.volumes(), start=1):
                self._one(records, volume_id, by_folder)
                if number % _EVERY == 0:
                    self._say(f"{number} volumes looked at")
        self._say(
            f"{self._exported} of {self._exported + self._failed} volumes recorded in "
            f"{records.folder} are exported, after {time.monotonic() - began:.1f} s"
        )
        return not self._failed

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

    def _one(
        self,
        records: Records,
        volume_id: str,
        groups: Mapping[str, volume_groups.Group],
    ) -> None:
        try:
            with self._lock(volume_id):
                export = (records.read(volume_id) or Record()).export
                if export is None:
                    return
                device = Path(export.device)
                if str(device.parent) in groups:
                    groups[str(device.parent)].activate(device.name)
                    self._export(volume_id, export)
                    self._exported += 1
        except Exception as error:
            self._failed += 1
            self._say(f"volume {volume_id} is not exported: {error}")

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
