# SPDX-License-Identifier: Apache-2.0
"""Makes exports follow Cinder's attachments, one volume at a time, under its lock.

Each call reads the attachments and the volume's record afresh, computes who may reach
the volume, makes it so, and writes the record before it answers. Nothing is kept in
this process, so a restart forgets nothing, and several processes on one node do no
harm.
"""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import tenacity
from cinder.exception import CinderException
from oslo_log import log as logging

from taikun_cinder import (
    attachment_log,
    connectors,
    contents,
    database,
    former_names,
    locks,
    modes,
)
from taikun_cinder.access.contents import Look
from taikun_cinder.access.fence import Fence
from taikun_cinder.access.grants import grants
from taikun_cinder.access.guard import LookFirst, writing
from taikun_cinder.access.identity import identity, is_marked, mark, unmarked
from taikun_cinder.access.ledger import Ledger
from taikun_cinder.access.model import Export, Grant, Initiator, Mode
from taikun_cinder.access.rules import Use
from taikun_cinder.access.servers import unasked, uses
from taikun_cinder.admission import Admission, AttachRequest, admit
from taikun_cinder.batches import Batches
from taikun_cinder.database import VolumeRow
from taikun_cinder.enforcement import Enforced, Enforcement
from taikun_cinder.exception import (
    FencesUnreadable,
    HostFenced,
    HostFencedMeanwhile,
    LockRanOut,
    VolumeHeld,
    VolumeMoved,
    VolumeShared,
)
from taikun_cinder.fences import Marks, fenced_since
from taikun_cinder.known import Known, look, without_rows
from taikun_cinder.layout import Layout
from taikun_cinder.leftovers import (
    Hold,
    Missed,
    accepted,
    holders,
    remembered,
    spared,
    taken_up,
)
from taikun_cinder.migrations import Migrations, refuse_busy
from taikun_cinder.orphans import Orphans
from taikun_cinder.records import Records
from taikun_cinder.targets.base import Result, Target
from taikun_cinder.volume_record import About, Record

LOG = logging.getLogger(__name__)

#: How often a host is let in whose volume's lock ran out meanwhile.
_ATTEMPTS = 3

#: The export, what a host has by all its connections, and what it has by a new one.
_Attached = tuple[Export, Grant, Admission]

#: Is told of a volume, and of the servers that may write to it.
Note = Callable[[Any, frozenset[str]], None]


class Exports:
    """The exports of one back end.

    Args:
        target: what exports.
        layout: how.
        records: what is known beside Cinder's attachments.
        activate: makes a volume's block device appear.
        backend: the back end's name in Cinder's database, as ``node@backend``.
        patience: how long a host without an attachment may need to log in, in seconds.
        clock: gives seconds, and only goes forward between two boots of the node.
        look: tells what is on a block device, by its path.
    """

    def __init__(
        self,
        target: Target,
        layout: Layout,
        records: Records,
        activate: Callable[[Any], None],
        backend: str = "",
        patience: float = 300,
        clock: Callable[[], float] = time.monotonic,
        look: Callable[[str], Look] = contents.look,
    ) -> None:
        self.target = target
        self.layout = layout
        self.backend = backend
        self._records = records
        self.fences = records.fences
        self.enforcement = Enforcement(target, layout, activate)
        self.orphans = Orphans(target, layout, records, backend, locks.held)
        self._patience = patience
        self._clock = clock
        self._look_at_device = look
        self.migrations = Migrations()
        self._attaches = Batches[AttachRequest, _Attached](self._attach)
        self._looks = Batches[Any, Look](
            lambda items: [self.contents_of(items[0])] * len(items)
        )

    def attach(self, request: AttachRequest) -> _Attached:
        """Let a host in.

        Its connector is marked, so that its detach can be told from others', and what
        the host may do is written there.

        Returns:
            the export, what the host has by all its connections, and what it has by
            this one.

        Raises:
            AttachmentGone: its attachment ended meanwhile; nothing is changed.
            AttachmentRefused: the volume's rule forbids it; nothing is changed.
            HostFenced: an operator has cut the host off; nothing is changed.
            VolumeMoved: the volume is not what it was; nothing is changed.
            VolumeMigrates: it is being migrated; nothing is changed.
            GrantWithheld: the host cannot be let in as things are.
            LockRanOut: it did, more than once.
        """
        # Those that wait for the same lock, and mean the same rows.
        volume = request.volume
        key = volume["id"], volume["name_id"]
        request = dataclasses.replace(
            request, since=self._clock(), identity=mark(request.connector)
        )
        try:
            return self._attached(key, request)
        except LookFirst:
            # Without the lock: a disk that is slow holds up nobody else.
            look = self._looks.do(key, volume)
        return self._attached(key, dataclasses.replace(request, look=look))

    # Nothing is left of what was done then, and the host may be another than the fenced
    # one. Who detaches is told, and repeats it.
    @tenacity.retry(
        retry=tenacity.retry_if_exception_type(LockRanOut),
        stop=tenacity.stop_after_attempt(_ATTEMPTS),
        reraise=True,
    )
    def _attached(self, key: tuple[str, str], request: AttachRequest) -> _Attached:
        return self._attaches.do(key, request)

    def marks(self, volume: Any) -> Marks:
        """Give the marks of a volume's fences, which a request is to come with."""
        return self.fences.marks(locks.name_id_of(volume))

    def contents_of(self, volume: Any) -> Look:
        """Look at what is on a volume that is active on this node."""
        return self._look_at_device(self.layout.device(volume))

    def _attach(self, requests: Sequence[AttachRequest]) -> list[_Attached]:
        """Let hosts in to one volume, in this order; all of them, or raise."""
        volume = requests[0].volume
        with self.locked(volume) as found:
            # Perhaps it is not tried for the first time.
            own = {request.identity for request in requests}
            known = dataclasses.replace(found, ledger=found.ledger.without(own))
            if cause := known.closed(volume):
                raise VolumeMoved(volume=volume["id"], cause=cause)
            self._refuse_fenced(requests, known)
            initiators = {request.initiator for request in requests}
            self.migrations.refuse(volume, known.row, initiators, known.let_in)
            admissions, ledger = [], taken_up(known, initiators)
            for request in requests:
                admission, ledger = self._admit(request, known, ledger)
                admissions.append(admission)
            enforced = self._enforce(
                volume, known, ledger, initiators, undone=known.ledger
            )
            self._refuse_cut_off(volume, requests, known)
            # Each: Cinder itself and a server may be on one host. And not before: who
            # is refused, or has to look first, comes here again.
            self.migrations.count(volume, own)
            granted = [
                enforced.grant_of(
                    volume, request.initiator, readers_disk=admission.readers_disk
                )
                for request, admission in zip(requests, admissions, strict=True)
            ]
            self._keep(volume, known, ledger, enforced, promised=True)
            return [
                (enforced.shown, *pair)
                for pair in zip(granted, admissions, strict=True)
            ]

    def _admit(
        self,
        request: AttachRequest,
        known: Known,
        ledger: Ledger,
    ) -> tuple[Admission, Ledger]:
        attachments = known.attachments
        connector = unmarked(request.connector)
        admission = admit(
            request,
            attachments,
            ledger,
            self.target.can_show_readers_disk,
            lambda: self._unasked(request, known, ledger),
        )
        readers_disk = admission.readers_disk
        modes.annotate(request.connector, admission.said, readers_disk=readers_disk)
        made = ledger.attach(
            attachments,
            request.initiator,
            admission.identity,
            admission.mode,
            self._clock(),
            admission.server,
            machine=connectors.machine_of(request.connector),
            connector=connector,
            readers_disk=readers_disk,
            candidates=admission.candidates,
            reads=request.mode is Mode.RO,
        )
        for fence in known.fences:
            if fence.refuses(made.connections[-1]):
                raise HostFenced(
                    volume=request.volume["id"],
                    host=connectors.host_of(request.connector),
                    attachments=", ".join(sorted(fence.attachments or {"unknown yet"})),
                )
            if fence.initiator == request.initiator:
                admission = dataclasses.replace(admission, doubtful=True)
        return admission, made

    @staticmethod
    def _refuse_fenced(requests: Iterable[AttachRequest], known: Known) -> None:
        """Refuse a host that was fenced since its request came.

        Its attachment may have waited for its connector then, and the fence does not
        know that it is the host's. Or the fence is over.

        Raises:
            HostFencedMeanwhile: it was.
        """
        for request in requests:
            if fenced_since(request.marks, known.marks, {request.initiator}):
                raise _fenced_meanwhile(request)

    def _refuse_cut_off(
        self, volume: Any, requests: Iterable[AttachRequest], known: Known
    ) -> None:
        """Refuse a host whose fence is being made: what was made for it is gone.

        Raises:
            HostFencedMeanwhile: it is.
        """
        fenced = {fence.initiator for fence in self._new_fences(volume, known)}
        for request in requests:
            if request.initiator in fenced:
                raise _fenced_meanwhile(request)

    def _unasked(
        self, request: AttachRequest, known: Known, ledger: Ledger
    ) -> Iterator[Use]:
        """Give the uses of other hosts that keep what nothing asks for.

        Its own does not count: it may be about to get its attachment back.
        """
        kept = spared(request.volume, known, ledger, (), self.target, hold=None)
        for use in unasked(kept, known.attachments, ledger):
            if use.initiator != request.initiator:
                yield use

    def refresh(self, volume: Any) -> frozenset[str]:
        """Make the export agree with attachments that were written meanwhile.

        Returns:
            the identities of the connections that the attachments do not show yet.
        """
        with self.locked(volume) as known:
            if known.moved(volume):
                return frozenset()
            if grants(known.attachments, known.ledger) != known.had:
                self._ensure(volume, known, known.ledger, asked=True)
            elif known.record is not None:
                # Which attachments a host has is what tells a deleted one from a
                # missing one later.
                same = Enforced(known.record.export, Result())
                self._keep(volume, known, known.ledger, same)
            return frozenset(
                connection.identity for connection in known.ledger.connections
            )

    def detach(
        self,
        volume: Any,
        connector: Mapping[str, Any],
        initiator: Initiator,
        *,
        force: bool = False,
        request: str = "",
    ) -> Export | None:
        """End one connection of the connector's host.

        Args:
            volume: the volume.
            connector: the host's.
            initiator: the host's.
            force: see ``access.termination``.
            request: see ``access.termination``.

        Returns:
            what others need still; None for nothing.

        Raises:
            VolumeMoved: it is not the volume any more that was asked for.
        """
        with self._present(volume) as known:
            ledger = known.ledger.detach(
                known.attachments,
                initiator,
                identity(connector),
                self._clock(),
                marked=is_marked(connector),
                force=force,
                connector=unmarked(connector),
                request=request,
                gone=known.gone,
            )
            export = self._ensure(volume, known, ledger, {initiator})
            stays = export is not None and initiator in export.grant_of
            # By force Cinder ends its own connection, and a server stays rightly.
            if stays and not (force or is_marked(connector)):
                attachment_log.stays(volume, connector, initiator)
            return export

    def detach_all(self, volume: Any) -> bool:
        """End all connections; say whether any remains.

        Raises:
            VolumeMoved: it is not the volume any more that was asked for.
        """
        with self._present(volume) as known:
            granted = grants(known.attachments, known.ledger) | known.had
            ended = {grant.initiator for grant in granted}
            LOG.warning(
                "All connections of volume %s are ended at once, since the detach came "
                "without a connector: %s",
                volume["id"],
                ", ".join(sorted(map(str, ended))) or "there are none",
            )
            ledger = known.ledger.detach_all(known.attachments, self._clock())
            export = self._ensure(volume, known, ledger, ended, certain=True)
            return export is not None

    def ensure(
        self,
        volume: Any,
        *,
        settle: bool = False,
        request: str = "",
        sweep: float = 0,
        search: bool = False,
        hold: Hold | None = None,
        missed: Missed | None = None,
        seen: Callable[[str, Export | None, Result], object] | None = None,
        note: Note | None = None,
    ) -> tuple[str, ...]:
        """Make the export agree with Cinder; give the initiators that have access.

        Nothing is done about a volume that has moved on meanwhile.

        Args:
            volume: whose export.
            settle: Cinder may be about to delete a row, see ``Ledger.settle``.
            request: the id of Cinder's request that may be about to do so.
            sweep: what rows should show by now and do not is forgotten when it is older
                than this many seconds; 0 forgets nothing.
            search: see ``Enforcement.ensure``.
            hold: tells which live initiators without an attachment keep their access,
                see ``brake``. None for a request of Cinder's.
            missed: tells which attachments are missing for good, see ``brake``.
            seen: is told the volume's id, the export, and what came of it.
            note: is told of the volume, and of the servers that may write to it.
        """
        with self.locked(volume) as known:
            if known.closed(volume) or self.shows_another(volume, known):
                return ()
            ledger = known.ledger
            if settle:
                ledger = ledger.settle(
                    known.attachments, self._clock(), request, known.gone
                )
            ledger = self.swept(known, ledger, sweep)
            enforced = self._enforce(volume, known, ledger, hold=hold, search=search)
            export = enforced.export
            if seen:
                seen(volume["id"], export, enforced.result)
            if sweep and export:
                ledger = ledger.look(
                    export.grant_of, enforced.result.connected, self._clock()
                )
            if missed:
                ledger = accepted(volume, known, ledger, export, missed)
            if note:
                shown = export.grants if export else ()
                left = unasked(shown, known.attachments, ledger)
                own = uses(known.attachments, ledger)
                note(volume, writing((*own, *left)))
            self._keep(volume, known, ledger, enforced)
            return tuple(sorted(map(str, export.grant_of))) if export else ()

    def former(
        self, volumes: Iterable[Any], exported: Iterable[str]
    ) -> list[tuple[str, Any]]:
        """List what volumes may have exported by another name than theirs is now.

        Args:
            volumes: the back end's.
            exported: the names of all targets and backstores of the node.
        """
        return list(former_names.find(exported, volumes, self.layout, self.location))

    def end_former(self, volume: Any, name: str, hold: Hold) -> Sequence[str]:
        """Remove an export that a volume has under another name, see ``former_names``.

        Returns:
            the kinds of the differences that were put right, see ``Result``.
        """
        with self.locked(volume) as known:
            return former_names.end(name, volume, known, self.target, self.layout, hold)

    def fence(self, volume: VolumeRow, initiator: Initiator, *, blind: bool) -> bool:
        """End what a host has that was fenced, and remember it; who asks has the lock.

        Args:
            volume: its row, or what its record says of it.
            initiator: the host's. It was set among ``fences`` already, and is marked
                there before the lock is given back.
            blind: whether Cinder's database cannot be read. Then the others keep what
                the record says.

        Returns:
            whether the fence could be written down.
        """
        LOG.warning(
            "Volume %(volume)s: an operator has cut off %(initiator)s, until a new "
            "attachment is made for it.",
            {"volume": volume.id, "initiator": initiator},
        )
        # Once more: its older one may have been written over, or forgotten, just when
        # it was set anew.
        is_set = self.fences.set(volume.name_id, initiator)
        # By the rows, one that is not written down is let in.
        if is_set and not blind:
            known = self._settled(volume, self.look(volume))
            if not known.moved(volume):
                self._ensure(volume, known, known.ledger, {initiator}, certain=True)
                return is_set
        known = self.look_without_rows(volume)
        export = known.record.export if known.record else None
        if known.record is None or export is None:
            return is_set
        left = export.without({initiator})
        # Its connections stay in the ledger until the fence is settled by them.
        kept = known.keep(known.record.ledger, known.let_in & {initiator})
        record = dataclasses.replace(known.record, export=left, ledger=kept)
        self._records.keep(volume, record, promised=False)
        return is_set

    def release(self, volume: Any) -> None:
        """Remove the export of a volume that is about to go, if nobody has it.

        No connection counts that Cinder did not write down, and that nobody is logged
        in by: one that it failed to write would keep the volume for ever.

        Raises:
            VolumeHeld: somebody has it; nothing is changed.
            VolumeShared: it is another volume's, too; nothing is changed.
        """
        with self._present(volume) as known:
            if sharers := self._sharers(volume):
                raise VolumeShared(volume=volume["id"], other=sharers[0].id)
            if self.shows_another(volume, known):
                return
            if found := list(holders(known, self.target)):
                raise VolumeHeld(volume=volume["id"], holders=", ".join(found))
            gone = self.enforcement.ensure(
                volume, known.target, known.record, frozenset(), search=True
            )
            ledger = dataclasses.replace(known.ledger, connections=(), current={})
            self._keep(volume, known, ledger, gone)

    @contextlib.contextmanager
    def kept_to_itself(self, volume: Any) -> Iterator[None]:
        """Let nobody in to a volume during the block, which nobody has.

        Raises:
            MigrationGivenUp: somebody is about to have it; nothing is changed.
            VolumeHeld: somebody has it; nothing is changed.
        """
        with self.migrations.held(volume):
            self.refuse_busy(volume)
            self.release(volume)
            yield

    def refuse_busy(self, volume: Any) -> None:
        """Give the migration of a volume up if somebody is about to have it.

        Raises:
            MigrationGivenUp: somebody is.
        """
        refuse_busy(volume, database.rows_of(volume, self.target).volume)

    def refuse_late(self, volume: Any, copy: Any) -> None:
        """Do the same when the volume is about to get its copy.

        Unless the copy is in use: then Nova has moved the servers to it.

        Args:
            volume: Cinder's.
            copy: the same, of the volume's copy. Cinder does not delete it by then.

        Raises:
            MigrationGivenUp: somebody is.
        """
        if not database.rows_of(copy, self.target).attachments:
            row = database.rows_of(volume, self.target).volume
            left = f"; its copy is left as volume {copy['id']}, to be deleted"
            refuse_busy(volume, row, left)

    def expects(self, volume: Any) -> bool:
        """Say whether the volume was left exported, whatever the target has now."""
        record = self._records.of(volume)
        return record is not None and record.export is not None

    def location(self, volume: Any) -> str:
        """Give the name of the target that a host of the volume will be told."""
        record = self._records.of(volume)
        if record is not None and record.export is not None:
            return record.export.target
        return self.layout.target(volume)

    def forget(self, volume: Any) -> None:
        """Forget a volume that is gone."""
        with locks.held_for(volume):
            # The source of a migration has, in the end, the name of the volume.
            if not self._others(volume):
                self._records.forget(volume["name_id"])

    @staticmethod
    def _others(volume: Any) -> Sequence[VolumeRow]:
        """Give the other volumes of any back end by the same name."""
        rows = database.owners_of(volume["name_id"])
        return [row for row in rows if row.id != volume["id"]]

    def _sharers(self, volume: Any) -> Sequence[VolumeRow]:
        """Give the other volumes that have the same logical volume, and are to stay.

        A migration leaves that behind where it ends between the rows that it changes
        (Volume.finish_volume_migration), or cannot delete the row of its source, whose
        volume comes back.
        """
        return [
            row
            for row in self._others(volume)
            if row.host == self.backend and not row.is_left_over
        ]

    @contextlib.contextmanager
    def locked(self, volume: Any) -> Iterator[Known]:
        """Have the volume's lock meanwhile, and all that is known about it."""
        with locks.held_for(volume):
            yield self._settled(volume, self.look(volume))

    def look(self, volume: Any) -> Known:
        """Give all that is known about a volume; who goes by it holds its lock."""
        return look(volume, self.target, self.layout, self._records, self._clock())

    def look_without_rows(self, volume: VolumeRow) -> Known:
        """Do the same where Cinder's database cannot be read."""
        return without_rows(volume, self.layout, self._records, self._clock())

    def _settled(self, volume: Any, known: Known) -> Known:
        """Write down which attachments fences are about, and forget those over."""
        before = known.record.ledger if known.record else known.ledger
        ids = frozenset(attachment.id for attachment in known.attachments)
        # One that is new or was lifted is not this operation's to keep or forget.
        now = self.fences.of(volume["name_id"]) if known.fences else ()
        left = []
        for fence in known.fences:
            settled = fence.settle(known.attachments, before)
            if fence not in now:
                left.append(settled)
                continue
            if settled.is_over(ids, known.deleted, before):
                self.fences.forget(volume["name_id"], fence.initiator)
                continue
            if settled != fence and not self.fences.keep(volume["name_id"], settled):
                settled = fence
            left.append(settled)
        return dataclasses.replace(known, fences=tuple(left)) if known.fences else known

    @contextlib.contextmanager
    def _present(self, volume: Any) -> Iterator[Known]:
        """Do the same for a request that must mean the volume as it is now.

        Raises:
            VolumeMoved: it is another one now. One that is gone is not: what is left of
                it can be ended.
        """
        with self.locked(volume) as found:
            cause = found.moved(volume)
            if cause and found.row is not None:
                raise VolumeMoved(volume=volume["id"], cause=cause)
            yield found

    def shows_another(self, volume: Any, known: Known) -> bool:
        """Say whether what is exported by a volume's name is another volume."""
        return self.enforcement.shows_another(volume, known.target, known.record)

    def swept(self, known: Known, ledger: Ledger, sweep: float) -> Ledger:
        """Give a ledger without what is too old to be true still."""
        if not sweep:
            return ledger
        sessions: Collection[Initiator] = ()
        if ledger.connections:  # they count for what the attachments do not show only
            sessions = self.target.read(known.target).connected
        return ledger.expire(
            known.attachments,
            sessions,
            self._clock(),
            sweep,
            self._patience,
            known.deleted,
        )

    def _ensure(
        self,
        volume: Any,
        known: Known,
        ledger: Ledger,
        about: Collection[Initiator] | None = None,
        *,
        certain: bool = False,
        asked: bool = False,
    ) -> Export | None:
        """Make the export so, and keep it; give what the target must show by now."""
        enforced = self._enforce(
            volume, known, ledger, about, certain=certain, asked=asked
        )
        self._keep(volume, known, ledger, enforced)
        return enforced.export

    def _enforce(
        self,
        volume: Any,
        known: Known,
        ledger: Ledger,
        about: Collection[Initiator] | None = None,
        *,
        hold: Hold | None = None,
        search: bool = False,
        certain: bool = False,
        asked: bool = False,
        undone: Ledger | None = None,
    ) -> Enforced:
        """Make the export so; see ``Enforcement.ensure``, and ``leftovers.spared``.

        If not all of it could be done, ``undone`` is the ledger to keep; None for the
        one that was to be, which ends access and grants none.

        Raises:
            NotActivated: not all of it could be done.
        """
        granted = spared(
            volume, known, ledger, about or (), self.target, hold, certain=certain
        )
        try:
            enforced = self.enforcement.ensure(
                volume,
                known.target,
                known.record,
                granted,
                about,
                search=search,
                asked=asked,
            )
        finally:  # it may have failed half-way
            self._keep_out(volume, known, ledger)
        if enforced.failure:
            # A reboot goes by the record, and must not let in who was cut off here.
            self._keep(volume, known, undone or ledger, enforced)
            raise enforced.failure
        return enforced

    def _keep_out(self, volume: Any, known: Known, ledger: Ledger) -> None:
        """Cut off again who was fenced since the volume was looked at.

        Args:
            volume: Cinder's.
            known: what is known about it.
            ledger: what was done by, or written.

        Raises:
            LockRanOut: another had the lock meanwhile; the fences hold.
            FencesUnreadable: it cannot be told who was. So nobody is let in.
        """
        hosts = {
            *(one.grant.initiator for one in ledger.connections),
            *(one.initiator for one in known.attachments if one.initiator),
            *known.let_in,
        }
        try:
            new = {fence.initiator for fence in self._new_fences(volume, known)}
            now = self.fences.marks(volume["name_id"])
        except FencesUnreadable:
            self._revoke(known, hosts - known.let_in)
            raise
        self._revoke(known, new)
        if fenced := fenced_since(known.marks, now, hosts):
            self._do_over(volume, ledger, fenced)
            raise LockRanOut(
                volume=volume["id"], hosts=", ".join(sorted(map(str, fenced)))
            )

    def _revoke(self, known: Known, initiators: Iterable[Initiator]) -> None:
        """End the access of hosts, and go on with what others asked for in any case."""
        for initiator in initiators:
            try:
                self.target.revoke(known.target, initiator)
            except CinderException as error:
                LOG.warning(
                    "The access of %(initiator)s to %(target)s is not ended yet: "
                    "%(error)s The fence that is being made ends it, or the reconcile.",
                    {"initiator": initiator, "target": known.target, "error": error},
                )

    def _new_fences(self, volume: Any, known: Known) -> Iterator[Fence]:
        """Give the fences that are being made, and wait for the volume's lock."""
        for fence in self.fences.of(volume["name_id"]):
            if not fence.settled and fence not in known.fences:
                yield fence

    def _do_over(
        self, volume: Any, ledger: Ledger, fenced: Collection[Initiator]
    ) -> None:
        """Let the export be as it must be since hosts were fenced.

        Args:
            volume: Cinder's.
            ledger: the one of before, perhaps written.
            fenced: the hosts.
        """
        known = self._settled(volume, self.look(volume))
        if known.moved(volume):
            return
        before = {
            one.identity for one in ledger.connections if one.grant.initiator in fenced
        }
        left = known.ledger.without(before)
        self._ensure(volume, known, left, fenced, certain=True)

    def _keep(
        self,
        volume: Any,
        known: Known,
        ledger: Ledger,
        enforced: Enforced,
        *,
        promised: bool = False,
    ) -> None:
        """Keep an export that was made so.

        Raises:
            RecordNotWritten: it cannot be, and was promised.
            LockRanOut: see ``_keep_out``.
        """
        self._write(volume, known, ledger, enforced, promised=promised)
        self._keep_out(volume, known, ledger)

    def _write(
        self,
        volume: Any,
        known: Known,
        ledger: Ledger,
        enforced: Enforced,
        *,
        promised: bool,
    ) -> None:
        export = enforced.export
        ledger = remembered(known, ledger, export, enforced.result, self._clock())
        record = Record(export, ledger, self._about(volume, known, export))
        known_so_far = known.record or Record()
        # An empty record is not written where there is none: a reconcile that comes
        # just after a volume was deleted would leave it behind for ever.
        if (export, ledger) == (known_so_far.export, known_so_far.ledger) and (
            known.record is None
            or (
                known.record.about == record.about
                and self._records.is_written(volume["name_id"])
            )
        ):
            return
        self._records.keep(volume, record, promised=promised)

    def _about(self, volume: Any, known: Known, export: Export | None) -> About:
        """Give what a volume's record speaks of.

        The source of a migration has, in the end, the name of the volume, and so its
        record: where it exports nothing itself, that stays the volume's.
        """
        moves_with = self._records.state_volume(self.layout.group)
        own = About(volume["id"], self.backend, state_volume=moves_with)
        if export is not None or known.record is None or known.record.about is None:
            return own
        before = known.record.about
        return before if before.volume == volume["name_id"] != own.volume else own


def _fenced_meanwhile(request: AttachRequest) -> HostFencedMeanwhile:
    return HostFencedMeanwhile(
        volume=request.volume["id"], host=connectors.host_of(request.connector)
    )
