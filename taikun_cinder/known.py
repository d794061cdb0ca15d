# SPDX-License-Identifier: Apache-2.0
"""All that is known about a volume, read while its lock is held."""

import dataclasses
from collections.abc import Collection
from typing import Any

from taikun_cinder import database
from taikun_cinder.access.attachment import Attachment
from taikun_cinder.access.disks import kept
from taikun_cinder.access.fence import Fence, unfenced
from taikun_cinder.access.ledger import Ledger
from taikun_cinder.access.model import Grant, Initiator
from taikun_cinder.database import Rows, VolumeRow
from taikun_cinder.fences import Marks
from taikun_cinder.layout import Layout
from taikun_cinder.records import Records
from taikun_cinder.targets.base import Target
from taikun_cinder.volume_record import Record

#: In these statuses a volume is about to be no volume of Cinder's any more.
LEAVING = ("deleting", "unmanaging")


@dataclasses.dataclass(frozen=True)
class Known:
    """What is known about a volume.

    Attributes:
        target: the name of its target.
        row: Cinder's of the volume; None if there is none any more.
        attachments: Cinder's, of its export.
        ledger: what they do not show.
        record: as it is on disk, None if there is none.
        deleted: the ids of attachments that Cinder has marked as deleted, of those that
            hosts had, or that an answer of the driver's may have been for.
        gone: the ids of all that are not there, of the same ones: also those that are
            missing in a database of an earlier time. None where an answer may be for an
            attachment of Cinder's old API, whose row it was not told.
        fences: those that are set. The ledger has no connection, and has ended each
            attachment, that they keep out.
        marks: see ``Fences.marks``.
    """

    target: str
    row: VolumeRow | None
    attachments: tuple[Attachment, ...]
    ledger: Ledger
    record: Record | None
    deleted: frozenset[str] = frozenset()
    fences: tuple[Fence, ...] = ()
    gone: frozenset[str] = frozenset()
    marks: Marks = dataclasses.field(default_factory=dict)

    @property
    def present(self) -> frozenset[str]:
        """The ids of the attachments that a host may be using the volume by.

        One that lost its connector is as it was once, in an older copy.
        """
        return frozenset(
            attachment.id
            for attachment in self.attachments
            if attachment.connected or not attachment.readable
        )

    @property
    def had(self) -> frozenset[Grant]:
        """What was granted when the export was made last."""
        export = self.record.export if self.record else None
        return export.grants if export else frozenset()

    @property
    def let_in(self) -> frozenset[Initiator]:
        """The initiators that were let in when the export was made last."""
        return frozenset(grant.initiator for grant in self.had)

    def had_attachments(self, initiator: Initiator) -> frozenset[str]:
        """The ids of the attachments that a host had when the export was made last."""
        before = self.record.ledger.attachments if self.record else {}
        return before.get(initiator, frozenset())

    @property
    def all_had_attachments(self) -> frozenset[str]:
        """Those of all hosts."""
        before = self.record.ledger.attachments if self.record else {}
        return frozenset().union(*before.values())

    @property
    def fenced(self) -> frozenset[Initiator]:
        """The initiators that have nothing but what a fence has ended."""
        before = self.record.ledger if self.record else self.ledger
        return frozenset(one.initiator for one in self.fences if one.keeps_out(before))

    def keep(self, ledger: Ledger, initiators: Collection[Initiator]) -> Ledger:
        """Let a ledger keep the pairs that some of them were let in with."""
        if not initiators or not self.record:
            return ledger
        pairs = {
            grant.initiator: grant.credentials
            for grant in self.had
            if grant.initiator in initiators
        }
        return ledger.keep(pairs, self.record.ledger.machines)

    def moved(self, volume: Any) -> str | None:
        """Say why the volume is not what a request takes it for; None if it is.

        Args:
            volume: as the request has it, which may be older.
        """
        row = self.row
        if row is None:
            return "it was deleted"
        if row.name_id != volume["name_id"]:
            return "it was migrated, and has another logical volume"
        if row.host != database.host_of_backend(volume["host"]):
            return f"it was given to back end {row.host}"
        return None

    def closed(self, volume: Any) -> str | None:
        """Say why nobody is let in to the volume any more; None if hosts are."""
        leaving = self.row is not None and self.row.status in LEAVING
        return self.moved(volume) or ("its deletion began" if leaving else None)


def look(
    volume: Any, target: Target, layout: Layout, records: Records, now: float
) -> Known:
    """Read all that is known about a volume. The caller holds its lock.

    Args:
        volume: as a request has it.
        target: what exports it.
        layout: how.
        records: the node's.
        now: by the clock of the ledgers.
    """
    marks = records.fences.marks(volume["name_id"])  # before what they are about
    rows = database.rows_of(volume, target)
    record = records.of(volume)
    name = _name(volume, layout, record, rows.attachments)
    if record is None:
        if any(map(_may_have_been_told, rows.attachments)):
            name = _shown_name(volume, name, target, layout)
        hosts = target.read(name).hosts
        ledger = Ledger().adopt(rows.attachments, hosts, now)
    else:
        ledger = _ledger(record, now)
    export = record.export if record else None
    let_in = export.grant_of if export else ()
    ledger = ledger.prune(rows.attachments, let_in)
    fences = records.fences.of(volume["name_id"])
    gone = _gone(rows.attachments, ledger, fences)
    deleted = database.deleted(gone) if gone else frozenset()
    if _may_be_old_apis(rows):
        gone = frozenset()
    else:
        ledger = ledger.without_deleted(deleted)
    for fence in fences:
        ledger = fence.applied(rows.attachments, ledger)
    attachments = kept(ledger.disks, rows.attachments)
    return Known(
        name,
        rows.volume,
        attachments,
        ledger,
        record,
        deleted,
        fences,
        gone,
        marks,
    )


def without_rows(
    volume: VolumeRow, layout: Layout, records: Records, now: float
) -> Known:
    """Give what is known about a volume where Cinder's database cannot be read.

    The caller holds its lock.

    Args:
        volume: as its record says.
        layout: how it is exported.
        records: the node's.
        now: by the clock of the ledgers.
    """
    marks = records.fences.marks(volume["name_id"])
    record = records.of(volume)
    ledger = _ledger(record, now) if record else Ledger()
    fences = records.fences.of(volume["name_id"])
    for fence in fences:
        ledger = fence.applied((), ledger)
    name = _name(volume, layout, record, ())
    return Known(name, None, (), ledger, record, fences=fences, marks=marks)


def _ledger(record: Record, now: float) -> Ledger:
    """Give a record's ledger by this node's clock; another's says nothing here."""
    ledger = unfenced(record.ledger)
    return ledger.not_after(now) if record.was_written_here else ledger.as_of(now)


def _gone(
    attachments: Collection[Attachment], ledger: Ledger, fences: Collection[Fence]
) -> frozenset[str]:
    there = {attachment.id for attachment in attachments}
    meant = (one.rows for one in ledger.connections)
    fenced = (fence.attachments for fence in fences)
    return frozenset().union(*meant, *ledger.attachments.values(), *fenced) - there


def _may_be_old_apis(rows: Rows) -> bool:
    """Say whether an answer may be for an attachment that has no host's name.

    Cinder's os-attach makes it after it was answered, and until then the driver takes
    another that waits for the one that is meant. The volume is ``attaching`` then, and
    at last the attachment, too, as long as it is being made. So they are while a host
    of the attachments API connects, but that attachment has its connector.
    """
    if any(
        one.is_nameless or (one.attaching and not one.connected)
        for one in rows.attachments
    ):
        return True
    attaching = rows.volume is not None and rows.volume.status == "attaching"
    return attaching and not any(one.attaching for one in rows.attachments)


def _name(
    volume: Any,
    layout: Layout,
    record: Record | None,
    attachments: Collection[Attachment],
) -> str:
    """Give the name of a volume's target.

    It is the name that its hosts were told, as long as there are any: a change of
    target_prefix takes nobody's disk away, and leaves nobody in.
    """
    if record is not None and record.export is not None:
        return record.export.target
    told = (attachment.told for attachment in attachments if attachment.connected)
    names = (place.target for place in told if place is not None)
    return next(names, layout.target(volume))


def _may_have_been_told(attachment: Attachment) -> bool:
    """Say whether an attachment's host was told a target, and its row not which.

    So it is with one of Cinder's old API, and one that cannot be read.
    """
    in_use = attachment.connected or not attachment.readable
    return in_use and attachment.told is None


def _shown_name(volume: Any, name: str, target: Target, layout: Layout) -> str:
    """Give the name that a volume is exported by, be it another than it should be.

    Args:
        volume: as a request has it.
        name: the one that it should have.
        target: what exports it.
        layout: how.
    """
    device = layout.device(volume)
    if target.read(name).device == device:
        return name
    others = (
        other
        for other in sorted(target.names(""))
        if layout.name_id(other) == volume["name_id"]
    )
    return next((one for one in others if target.read(one).device == device), name)
