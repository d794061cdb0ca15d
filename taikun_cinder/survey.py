# SPDX-License-Identifier: Apache-2.0
"""What Cinder, the driver's record and the kernel have of a volume, side by side.

For operators: nothing is changed, and no decision goes by it. Where Cinder's database
cannot be read, the record and the kernel are compared with each other.
"""

import dataclasses
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

from oslo_log import log as logging

from taikun_cinder import database, locks, words
from taikun_cinder.access.model import Export, ExportState, Initiator
from taikun_cinder.database import VolumeRow
from taikun_cinder.exports import Exports
from taikun_cinder.known import Known
from taikun_cinder.leftovers import spared
from taikun_cinder.records import Records
from taikun_cinder.targets.base import Finding
from taikun_cinder.targets.inspection import Inspection

LOG = logging.getLogger(__name__)

#: How long to wait for a volume's lock, in seconds. Who holds it for longer hangs, and
#: that is what an operator may be looking for.
_PATIENCE = 5.0

#: How long to wait for those of all others, when one was held for longer.
_PATIENCE_THEN = 0.1

#: How long to wait for a database that does not say a word, in seconds.
DATABASE_PATIENCE = 10.0

#: The status of a volume whose row cannot be read.
UNKNOWN = "unknown"


@dataclasses.dataclass(frozen=True)
class Seen:
    """A volume as of one moment.

    Attributes:
        volume: its row, or what its record says of it.
        known: what Cinder and the record have.
        shown: what hosts can do by the kernel.
        details: what else the kernel tells.
        findings: all that differs.
        held: the hosts that are logged in, and whose access only missing attachments
            ask to end, see ``brake``.
        is_blind: whether Cinder's attachments could not be read.
        is_busy: whether an operation on the volume was under way, so that what differs
            may be about to change.
    """

    volume: VolumeRow
    known: Known
    shown: ExportState
    details: Inspection
    findings: tuple[Finding, ...] = ()
    held: frozenset[Initiator] = frozenset()
    is_blind: bool = False
    is_busy: bool = False

    def cause(self, finding: Finding) -> str:
        """Say where a difference comes from, as far as can be told."""
        record = self.known.record
        if record is None:
            return (
                "there is no record of the driver's: the in-tree driver exported the "
                "volume, or the record was lost"
            )
        if record.export is None:
            return "the record says that nothing is exported, so somebody else did it"
        if self.shown.device is None and not self.shown.hosts:
            return "the kernel has lost the export: by a boot, or by targetcli"
        initiator = finding.initiator
        if initiator in self.known.fenced:
            return (
                "an operator has fenced this host off, and it could not be cut off yet"
            )
        if initiator and self._is_as_recorded(record.export, initiator):
            return (
                "Cinder's attachments have changed, and no request told the driver: a "
                "row was changed by hand, or the database is another copy"
            )
        return (
            "the kernel was changed by somebody else than the driver, a request was "
            "killed half way, or an option was changed"
        )

    def _is_as_recorded(self, export: Export, initiator: Initiator) -> bool:
        had, has = export.grant_of.get(initiator), self.shown.hosts.get(initiator)
        if had is None or has is None:
            return had is None and has is None
        return (had.mode, had.readers_disk) == (has.mode, has.readers_disk) and (
            has.credentials == had.credentials
        )


class Survey:
    """Looks at the volumes of one back end.

    Args:
        exports: the back end's.
        records: its records.
        patience: how long Cinder may need to write down what was answered, in seconds.
        complain: told once that the database cannot be read.
    """

    def __init__(
        self,
        exports: Exports,
        records: Records,
        patience: float,
        complain: Callable[[str], object],
    ) -> None:
        self._exports = exports
        self._records = records
        self._patience = patience
        self._complain = complain
        self._is_blind = False
        self._lock_patience = _PATIENCE

    def volumes(self) -> list[VolumeRow]:
        """List the volumes that are attached, exported or recorded, by their ids."""
        if not self._is_blind and not database.answers(DATABASE_PATIENCE):
            self._go_blind(f"it has not answered for {DATABASE_PATIENCE:.0f} s")
        exported = self._exports.target.names("")
        recorded = {row.name_id: row for row in self._recorded()}
        rows = self._read(
            lambda: database.volumes_of(self._exports.backend), recorded.values()
        )
        attached = self._read(
            lambda: database.attached_volumes(self._exports.backend), frozenset()
        )
        layout = self._exports.layout
        found = [
            row
            for row in rows
            if row.id in attached
            or row.name_id in recorded
            or layout.target(row) in exported
        ]
        if self._is_blind:
            found.extend(self._exported_only(exported))
        return sorted(found, key=lambda row: row.id)

    def find(self, volume: str) -> VolumeRow | None:
        """Give a volume of the back end by its id, or by the name of its target."""
        for row in self.volumes():
            if volume in (row.id, row.name_id) or volume.endswith(row.name):
                return row
        rows = self._read(lambda: database.volumes_of(self._exports.backend), ())
        return next((row for row in rows if row.id == volume), None)

    def of(self, volume: VolumeRow) -> Seen:
        """Look at a volume, under its lock unless that is held for long.

        Raises:
            CinderException: the kernel could not be asked.
        """
        with locks.tried(volume, self._lock_patience) as held:
            if not held:  # as on a sick disk, where operations on all its volumes hang
                self._lock_patience = min(self._lock_patience, _PATIENCE_THEN)
            seen = self._of(volume)
        return seen if held else dataclasses.replace(seen, is_busy=True)

    def _of(self, volume: VolumeRow) -> Seen:
        if not self._is_blind:
            try:
                return self._with_rows(volume)
            except Exception as error:
                if not database.is_down(error):
                    raise
                self._go_blind(words.cause(error))
        return self._without_rows(volume)

    def orphans(self) -> frozenset[str]:
        """List what is exported, and is no volume's of this back end, by its id."""
        exports = self._exports
        if self._is_blind or not database.knows_service(exports.backend):
            return frozenset()
        volumes = database.volumes_of(exports.backend)
        found = exports.orphans.find(exports.target.names(""), volumes)
        return frozenset(filter(exports.orphans.is_one, found))

    def _with_rows(self, volume: VolumeRow) -> Seen:
        exports = self._exports
        known = exports.look(volume)
        seen = self._shown(known.row or volume, known)
        if known.closed(volume) or exports.shows_another(volume, known):
            return seen
        held: set[Initiator] = set()

        def hold(_volume: str, initiators: Collection[Initiator]) -> Collection[Any]:
            held.update(initiators)
            return ()  # as a pass that an operator has confirmed

        ledger = exports.swept(known, known.ledger, self._patience)
        granted = spared(volume, known, ledger, (), exports.target, hold)
        findings = exports.enforcement.findings(
            volume, known.target, known.record, granted
        )
        return dataclasses.replace(seen, findings=findings, held=frozenset(held))

    def _without_rows(self, volume: VolumeRow) -> Seen:
        known = self._exports.look_without_rows(volume)
        seen = dataclasses.replace(self._shown(volume, known), is_blind=True)
        if known.record is None:
            return seen
        export = known.record.export
        wanted = export.without(known.fenced) if export else None
        findings = self._exports.target.findings(known.target, wanted)
        return dataclasses.replace(seen, findings=findings)

    def _shown(self, row: VolumeRow, known: Known) -> Seen:
        target = self._exports.target
        return Seen(row, known, target.read(known.target), target.inspect(known.target))

    def _recorded(self) -> list[VolumeRow]:
        """Give the volumes of which there is a record of this back end's."""
        found = []
        for name_id in self._records.volumes():
            record = self._records.load(name_id)
            about = record.about if record else None
            if about is not None and about.backend == self._exports.backend:
                found.append(VolumeRow(about.volume, name_id, about.backend, UNKNOWN))
        return found

    def _exported_only(self, exported: Iterable[str]) -> Iterator[VolumeRow]:
        """Give the volumes of the back end that only the kernel tells of."""
        layout, backend = self._exports.layout, self._exports.backend
        for name in exported:
            name_id = layout.name_id(name)
            if name_id is None or self._records.load(name_id) is not None:
                continue
            row = VolumeRow(name_id, name_id, backend, UNKNOWN)
            if self._exports.target.read(name).device == layout.device(row):
                yield row

    def _read(self, ask: Callable[[], Any], otherwise: Any) -> Any:
        if self._is_blind:
            return otherwise
        try:
            return ask()
        except Exception as error:
            if not database.is_down(error):
                raise
            self._go_blind(words.cause(error))
            return otherwise

    def _go_blind(self, why: str) -> None:
        self._is_blind = True
        self._complain(
            "Cinder's database cannot be read, so what follows is the driver's own "
            "records beside the kernel, without Cinder's attachments: "
            f"{why}"
        )
