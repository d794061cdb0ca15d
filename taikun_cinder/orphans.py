# SPDX-License-Identifier: Apache-2.0
"""Exports and records without a volume of their back end, found from this side.

A volume can leave its back end without a call to the driver: its row was deleted by
hand, its host was renamed (backend_host, ``cinder-manage volume update_host``), a
migration failed half-way. Then no list of the back end's volumes leads to what is left
of it on the node. So a reconcile also goes from the records, and from the kernel's
exports that are provably this back end's, to Cinder's rows.

An export is provably a back end's if its device is a logical volume of the back end's
group, and its target is named by that volume.
"""

import dataclasses
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any

from oslo_log import log as logging

from taikun_cinder import database
from taikun_cinder.access.model import Export, ExportState, Initiator
from taikun_cinder.database import VolumeRow
from taikun_cinder.fences import Marks, fenced_since
from taikun_cinder.layout import Layout, is_name_id
from taikun_cinder.leftovers import Hold
from taikun_cinder.records import Records
from taikun_cinder.targets.base import Target
from taikun_cinder.volume_record import Record

LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class _Left:
    """What there is of a volume that is no volume of the back end.

    Attributes:
        owners: the volumes of other back ends that have its name.
        record: of it, None if there is none.
        export: of it, provably the back end's; None if there is none.
    """

    owners: Collection[VolumeRow]
    record: Record | None
    export: Export | None


class Orphans:
    """The orphans of one back end.

    Args:
        target: what exports.
        layout: how.
        records: the node's.
        backend: the back end's name in Cinder's database, as ``node@backend``.
        lock: gives the lock of a ``name_id``.
    """

    def __init__(
        self,
        target: Target,
        layout: Layout,
        records: Records,
        backend: str,
        lock: Callable[[str], Any],
    ) -> None:
        self._target = target
        self._layout = layout
        self._records = records
        self._backend = backend
        self._lock = lock

    def find(self, exported: Iterable[str], volumes: Iterable[Any]) -> frozenset[str]:
        """List what may be an orphan, by ``name_id``.

        Args:
            exported: the names of all targets and backstores of the node.
            volumes: all of the back end's.
        """
        known = set()
        for volume in volumes:
            known.add(volume["name_id"])
            if not is_name_id(volume["name_id"]):
                LOG.warning(
                    "No export without a volume is removed, since it may be that of "
                    "volume %(volume)s: its row in the table volumes of Cinder's "
                    "database has name_id=%(name_id)r, which is the id of no volume. "
                    "Set it right.",
                    {"volume": volume["id"], "name_id": volume["name_id"]},
                )
                return frozenset()
        by_name = map(self._layout.name_id, exported)
        kept = *self._records.volumes(), *self._records.fences.volumes()
        found = {*filter(None, by_name), *kept}
        return frozenset(found.difference(known))

    def is_one(self, name_id: str) -> bool:
        """Say whether a confirmed pass would end access to what there is of a volume.

        Nothing is changed.
        """
        with self._lock(name_id):
            found = self._left(name_id)
            if found is None or found.export is None:
                return False
            state = self._target.read(found.export.target)
            users = self._users(found, found.export, state)
            return not users or bool(found.export.grant_of.keys() - users)

    def settle(self, name_id: str, hold: Hold) -> Sequence[str]:
        """Remove what nobody owns of one volume.

        Args:
            name_id: of the volume.
            hold: tells which initiators keep their access for now, see ``brake``.

        Returns:
            the kinds of the differences that were put right, see ``Result``.
        """
        with self._lock(name_id):
            marks = self._records.fences.marks(name_id)
            found = self._left(name_id)
            if found is None:
                return ()
            if found.export is not None:
                return self._settle(name_id, found, found.export, hold, marks)
            if not found.owners:
                self._forget(name_id, found.record)
            return ()

    def _left(self, name_id: str) -> _Left | None:
        """Give what there is of a volume that is not this back end's; None for nothing.

        Nothing is another back end's, or is being made or removed.
        """
        owners = database.owners_of(name_id)
        if any(owner.host == self._backend for owner in owners):
            return None
        record = self._records.load(name_id)
        if self._is_anothers(record, owners):
            return None
        # What was copied from another node says nothing of this one's kernel.
        own = record if record and record.is_of_this_node else None
        export = (own.export if own else None) or self._shown(name_id)
        if export is not None and not self._is_ours(export, name_id):
            export = None
        return _Left(owners, record, export)

    def _forget(self, name_id: str, record: Record | None) -> None:
        """Forget a record that no export goes by.

        One of an older version may have the name of a volume that was migrated since,
        see ``Records.of``. One of ours that speaks of another volume is a copy, which
        nothing goes by, with passwords in it. So is one of another node.
        """
        if record is None or record.export is None:
            self._forget_all(name_id)
        elif record.about is not None and (
            record.about.backend == self._backend or not record.is_of_this_node
        ):
            self._forget_all(name_id)
            LOG.warning(
                "The record of volume %(name)s in %(folder)s spoke of volume "
                "%(volume)s on node %(node)s, and Cinder has no volume %(name)s. It "
                "was a copy, and is removed.",
                {
                    "name": name_id,
                    "folder": self._records.folder,
                    "volume": record.about.volume,
                    "node": record.about.node,
                },
            )

    def _forget_all(self, name_id: str) -> None:
        """Forget what is written of a volume.

        A row that is only missing may come back, and fenced hosts stay out then. So the
        fences last unless Cinder says that the volume is deleted.
        """
        self._records.forget(name_id, fences=database.is_deleted(name_id))

    def _is_anothers(
        self, record: Record | None, owners: Collection[VolumeRow]
    ) -> bool:
        """Say whether another back end of this node cares for the volume.

        It may have the same volume group, and be the in-tree driver's, which keeps no
        records.
        """
        if record is None or record.about is None or not record.is_of_this_node:
            return bool(owners)
        return record.about.backend in {owner.host for owner in owners}

    def _is_ours(self, export: Export, name_id: str) -> bool:
        name = self._layout.name(name_id)
        return export.device == self._device(name_id) and export.target.endswith(name)

    def _device(self, name_id: str) -> str:
        return f"/dev/{self._layout.group}/{self._layout.name(name_id)}"

    def _shown(self, name_id: str) -> Export | None:
        """Give what the kernel has under a volume's name, without a record.

        It may be from before target_prefix was changed.
        """
        device = self._device(name_id)
        for name in self._names(name_id):
            state = self._target.read(name)
            if state.device == device:
                portals = frozenset(self._layout.portals)
                return Export(name, device, state.serial or name_id, portals)
        return None

    def _names(self, name_id: str) -> Iterator[str]:
        """Give the names that a volume may be exported by, the usual one first."""
        usual = self._layout.prefix + self._layout.name(name_id)
        yield usual
        exported = sorted(self._target.names(""))
        for name in exported:
            if name != usual and self._layout.name_id(name) == name_id:
                yield name

    def _settle(
        self,
        name_id: str,
        found: _Left,
        export: Export,
        hold: Hold,
        marks: Marks,
    ) -> Sequence[str]:
        owners = found.owners
        state = self._target.read(export.target)
        hosts = {*export.grant_of, *state.hosts}
        users = self._users(found, export, state)
        kept = users.union(hold(name_id, state.connected & hosts - users))
        if kept:
            return self._keep(name_id, found, export, kept, marks)
        done = self._target.ensure(export.target, None)
        self._forget_all(name_id)
        LOG.warning(
            "Nobody owns the export %(target)s of back end %(backend)s any more: "
            "%(why)s. It is removed, with the access of %(hosts)s (%(changes)s). Its "
            "logical volume is left as it is.",
            {
                "target": export.target,
                "backend": self._backend,
                "why": _why(owners),
                "hosts": _words(hosts),
                "changes": "; ".join(done.changes) or "there was only its record",
            },
        )
        return done.put_right

    def _users(
        self, found: _Left, export: Export, state: ExportState
    ) -> frozenset[Initiator]:
        """Give the hosts that another back end's volume sends to this node still.

        When a back end was renamed, its volumes are another's until the operator has
        moved them too. Their hosts are not cut off for that. An attachment that cannot
        be read may be anybody's, and one of Cinder's old API that of any host without
        one. Nor is Cinder cut off from what it is logged in by.
        """
        attachments = [
            attachment
            for owner in found.owners
            for attachment in database.rows_of(owner, self._target).attachments
        ]
        if not all(attachment.readable for attachment in attachments):
            return frozenset({*export.grant_of, *state.hosts})
        portals = frozenset(self._layout.portals)
        users = frozenset(
            attachment.initiator
            for attachment in attachments
            if attachment.initiator and attachment.connected
            if attachment.told and attachment.told.portals & portals
        )
        if not (found.owners and found.record):
            return users
        if any(attachment.is_nameless for attachment in attachments):
            users |= _old_apis(found.record)
        return users | state.connected & _cinders_own(found.record)

    def _keep(
        self,
        name_id: str,
        found: _Left,
        export: Export,
        kept: Collection[Initiator],
        marks: Marks,
    ) -> Sequence[str]:
        record = found.record
        LOG.warning(
            "The export %(target)s is kept for %(hosts)s, though %(why)s. If this back "
            "end was renamed, give it its volumes with cinder-manage volume "
            "update_host --newhost %(backend)s.",
            {
                "target": export.target,
                "hosts": _words(kept),
                "why": _why(found.owners),
                "backend": self._backend,
            },
        )
        if record is None or not export.grant_of.keys() - kept:
            return ()
        rest = export.only(kept)
        done = self._target.ensure(export.target, rest)
        self._records.save(name_id, dataclasses.replace(record, export=rest))
        # The lock may have run out, and a fence have been told to hold.
        now = self._records.fences.marks(name_id)
        if fenced := fenced_since(marks, now, rest.grant_of):
            rest = rest.without(fenced)
            self._target.ensure(export.target, rest)
            self._records.save(name_id, dataclasses.replace(record, export=rest))
        return done.put_right


def _cinders_own(record: Record) -> frozenset[Initiator]:
    """Give the hosts of a record's connections that Cinder made for itself."""
    connections = record.ledger.connections
    return frozenset(one.grant.initiator for one in connections if one.server is None)


def _old_apis(record: Record) -> frozenset[Initiator]:
    """Give the hosts of a record that an attachment without a host's name may be of."""
    connections = (one for one in record.ledger.connections if one.may_be_rowed)
    return frozenset(one.grant.initiator for one in connections if one.loose)


def _words(initiators: Collection[Initiator]) -> str:
    return ", ".join(sorted(map(str, initiators))) or "nobody"


def _why(owners: Collection[VolumeRow]) -> str:
    if not owners:
        return "Cinder has no such volume"
    hosts = ", ".join(sorted(owner.host for owner in owners))
    return f"the volume is of back end {hosts}"
