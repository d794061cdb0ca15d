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
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from cinder import coordination
from oslo_log import log as logging

from taikun_cinder import connectors, database, modes
from taikun_cinder.access.attachment import Attachment
from taikun_cinder.access.identity import identity, is_marked, mark, unmarked
from taikun_cinder.access.ledger import Ledger, grants
from taikun_cinder.access.model import Export, Grant, Initiator
from taikun_cinder.admission import Admission, AttachRequest, admit
from taikun_cinder.batches import Batches
from taikun_cinder.enforcement import Enforced, Enforcement
from taikun_cinder.exception import RecordNotWritten
from taikun_cinder.layout import Layout
from taikun_cinder.records import Record, Records
from taikun_cinder.targets.base import Finding, Target

LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class _Known:
    """The knowledge about a volume when its lock is taken.

    Attributes:
        attachments: Cinder's, read after the lock was taken.
        ledger: what they do not show.
        record: as it is on disk, None if there is none.
    """

    attachments: tuple[Attachment, ...]
    ledger: Ledger
    record: Record | None

    @property
    def let_in(self) -> frozenset[Initiator]:
        """The initiators that were let in when the export was made last."""
        export = self.record.export if self.record else None
        return frozenset(export.grant_of) if export else frozenset()

    def keep(self, ledger: Ledger, initiators: Collection[Initiator]) -> Ledger:
        """Let a ledger keep the pairs that some of them were let in with."""
        if not initiators or not self.record or not self.record.export:
            return ledger
        had = self.record.export.grant_of
        pairs = {initiator: had[initiator].credentials for initiator in initiators}
        return ledger.keep(pairs, self.record.ledger.machines)


class Exports:
    """The exports of one back end.

    Args:
        target: what exports.
        layout: how.
        records: what is known beside Cinder's attachments.
        activate: makes a volume's block device appear.
        patience: how long a host without an attachment may need to log in, in seconds.
        clock: gives seconds, and only goes forward between two boots of the node.
    """

    def __init__(
        self,
        target: Target,
        layout: Layout,
        records: Records,
        activate: Callable[[Any], None],
        patience: float = 300,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.target = target
        self.layout = layout
        self._records = records
        self._enforcement = Enforcement(target, layout, activate)
        self._patience = patience
        self._clock = clock
        self._attaches = Batches[AttachRequest, tuple[Grant, Admission]](self._attach)

    def attach(self, request: AttachRequest) -> tuple[Grant, Admission]:
        """Let a host in.

        Its connector is marked, so that its detach can be told from others', and what
        the host may do is written there.

        Returns:
            what the host has by all its connections, and what it has by this one.

        Raises:
            AttachmentRefused: the volume's rule forbids it; nothing is changed.
            GrantWithheld: the host cannot be let in as things are.
        """
        return self._attaches.do(request.volume["id"], request)

    def _attach(
        self, requests: Sequence[AttachRequest]
    ) -> list[tuple[Grant, Admission]]:
        """Let hosts in to one volume, in this order; all of them, or raise."""
        volume = requests[0].volume
        with self._locked(volume) as known:
            initiators = {request.initiator for request in requests}
            admissions, ledger = [], _with_leftovers(known, initiators)
            for request in requests:
                admission, ledger = self._admit(request, known.attachments, ledger)
                admissions.append(admission)
            enforced = self._enforce(volume, known, ledger, initiators)
            granted = [
                enforced.grant_of(volume, request.initiator) for request in requests
            ]
            self._keep(volume, known, self._record(known, ledger, enforced))
            return list(zip(granted, admissions, strict=True))

    def _admit(
        self,
        request: AttachRequest,
        attachments: tuple[Attachment, ...],
        ledger: Ledger,
    ) -> tuple[Admission, Ledger]:
        connector = unmarked(request.connector)
        admission = admit(request, mark(request.connector), attachments, ledger)
        modes.annotate(request.connector, admission.mode)
        return admission, ledger.attach(
            attachments,
            request.initiator,
            admission.identity,
            admission.mode,
            self._clock(),
            admission.server,
            machine=connectors.machine_of(request.connector),
            connector=connector,
        )

    def refresh(self, volume: Any) -> frozenset[str]:
        """Make the export agree with attachments that were written meanwhile.

        Returns:
            the identities of the connections that the attachments do not show yet.
        """
        with self._locked(volume) as known:
            had = known.record.export if known.record else None
            now = grants(known.attachments, known.ledger)
            if now != (had.grants if had else frozenset()):
                self._ensure(volume, known, known.ledger)
            return frozenset(
                connection.identity for connection in known.ledger.connections
            )

    def detach(
        self, volume: Any, connector: Mapping[str, Any], *, force: bool = False
    ) -> bool:
        """End one connection of the connector's host; say whether others remain.

        Args:
            volume: the volume.
            connector: the host's.
            force: see ``access.termination``.

        Raises:
            UnknownInitiator: the connector names no initiator; nothing is changed.
        """
        initiator = connectors.initiator_to_detach(
            volume["id"], connector, self.target.connector_key
        )
        with self._locked(volume) as known:
            ledger = known.ledger.detach(
                known.attachments,
                initiator,
                identity(connector),
                self._clock(),
                marked=is_marked(connector),
                force=force,
            )
            export = self._ensure(volume, known, ledger, {initiator})
            if export and initiator in export.grant_of and not is_marked(connector):
                _tell_who_stays(volume, connector, initiator)
            return export is not None

    def detach_all(self, volume: Any) -> bool:
        """End all connections; say whether any remains."""
        with self._locked(volume) as known:
            ended = (
                str(grant.initiator)
                for grant in grants(known.attachments, known.ledger)
            )
            LOG.warning(
                "All connections of volume %s are ended at once, since the detach came "
                "without a connector: %s",
                volume["id"],
                ", ".join(sorted(ended)) or "there are none",
            )
            ledger = known.ledger.detach_all(known.attachments, self._clock())
            return self._ensure(volume, known, ledger) is not None

    def ensure(
        self,
        volume: Any,
        *,
        deleted: bool = False,
        settle: bool = False,
        sweep: float = 0,
        search: bool = False,
    ) -> tuple[str, ...]:
        """Make the export agree with Cinder; give the initiators that have access.

        Args:
            volume: whose export.
            deleted: the volume itself goes. Then no connection counts that Cinder did
                not write down, or one that it failed to write would keep it for ever.
            settle: Cinder may be about to delete a row, see ``Ledger.settle``.
            sweep: what rows should show by now and do not is forgotten when it is older
                than this many seconds; 0 forgets nothing.
            search: see ``Enforcement.ensure``. It is done for a deletion in any case.
        """
        with self._locked(volume) as known:
            if self._enforcement.shows_another(volume):
                return ()
            ledger = known.ledger
            if deleted:
                ledger = dataclasses.replace(ledger, connections=(), current={})
            if settle:
                ledger = ledger.settle(known.attachments, self._clock())
            ledger = self._swept(volume, known, ledger, sweep)
            enforced = self._enforce(volume, known, ledger, search=search or deleted)
            export = enforced.export
            if sweep and export:
                ledger = ledger.look(
                    export.grant_of, enforced.result.connected, self._clock()
                )
            try:
                self._keep(volume, known, self._record(known, ledger, enforced))
            except RecordNotWritten as error:
                # Nobody was promised anything, and the export is right. At its start
                # Cinder would put the volume into an error status for this.
                LOG.error(error.msg)
            return tuple(sorted(map(str, export.grant_of))) if export else ()

    def findings(self, volume: Any, *, sweep: float = 0) -> tuple[Finding, ...]:
        """Tell what :meth:`ensure` would put right or leave, and change nothing.

        Args:
            volume: whose export.
            sweep: as for :meth:`ensure`.
        """
        with self._locked(volume) as known:
            if self._enforcement.shows_another(volume):
                return ()
            ledger = self._swept(volume, known, known.ledger, sweep)
            granted = grants(known.attachments, ledger)
            return self._enforcement.findings(volume, known.record, granted)

    def expects(self, volume: Any) -> bool:
        """Say whether the volume was left exported, whatever the target has now."""
        record = self._records.load(volume["id"])
        return record is not None and record.export is not None

    def forget(self, volume: Any) -> None:
        """Forget a volume that is gone."""
        with self._lock(volume):
            self._records.forget(volume["id"])

    @contextlib.contextmanager
    def _locked(self, volume: Any) -> Iterator[_Known]:
        with self._lock(volume):
            key, now = self.target.connector_key, self._clock()
            attachments = database.attachments_of(volume["id"], key)
            record = self._records.load(volume["id"])
            if record is None:
                hosts = self.target.read(self.layout.target(volume)).hosts
                ledger = Ledger().adopt(attachments, hosts, now)
            else:
                ledger = record.ledger.not_after(now)
            yield _Known(attachments, ledger.prune(attachments), record)

    def _swept(
        self, volume: Any, known: _Known, ledger: Ledger, sweep: float
    ) -> Ledger:
        """Give a ledger without what is too old to be true still."""
        if not sweep:
            return ledger
        sessions: Collection[Initiator] = ()
        if ledger.connections:  # they count for what the attachments do not show only
            sessions = self.target.read(self.layout.target(volume)).connected
        return ledger.expire(
            known.attachments, sessions, self._clock(), sweep, self._patience
        )

    def _lock(self, volume: Any) -> Any:
        # By name_id, which two rows may share for a while.
        return coordination.COORDINATOR.get_lock(lock_name(volume["name_id"]))

    def _ensure(
        self,
        volume: Any,
        known: _Known,
        ledger: Ledger,
        about: Collection[Initiator] | None = None,
    ) -> Export | None:
        """Make the export so, and keep it; give what the target must show by now."""
        enforced = self._enforce(volume, known, ledger, about)
        self._keep(volume, known, self._record(known, ledger, enforced))
        return enforced.export

    def _enforce(
        self,
        volume: Any,
        known: _Known,
        ledger: Ledger,
        about: Collection[Initiator] | None = None,
        *,
        search: bool = False,
    ) -> Enforced:
        """Make the export so; see ``Enforcement.ensure``."""
        granted = grants(known.attachments, ledger)
        return self._enforcement.ensure(
            volume, known.record, granted, about, search=search
        )

    def _record(self, known: _Known, ledger: Ledger, enforced: Enforced) -> Record:
        """Give what to keep of an export that was made so.

        A host whose access is over was logged in, unless it was seen that it was not:
        after a crash or a reboot nobody saw.
        """
        export = enforced.export
        over = known.let_in - (export.grant_of.keys() if export else frozenset())
        before = known.record.ledger if known.record else ledger
        logged_out = enforced.result.logged_out - before.lost(self._clock())
        return Record(export, known.keep(ledger, over - logged_out))

    def _keep(self, volume: Any, known: _Known, record: Record) -> None:
        # An empty record is not written where there is none: a reconcile that comes
        # just after a volume was deleted would leave it behind for ever.
        if record != (known.record or Record()):
            self._records.save(volume["id"], record)


def _with_leftovers(known: _Known, initiators: Collection[Initiator]) -> Ledger:
    """Give the ledger for hosts that are about to be let in.

    One may still be let in though nothing wants it: its row was deleted, and nobody
    told the driver. It may be logged in, so that it goes on with the pair that it has.
    """
    granted = {grant.initiator for grant in grants(known.attachments, known.ledger)}
    return known.keep(known.ledger, known.let_in.intersection(initiators) - granted)


def _tell_who_stays(
    volume: Any, connector: Mapping[str, Any], initiator: Initiator
) -> None:
    LOG.warning(
        "Host %(host)s (%(initiator)s) keeps its access to volume %(volume)s, since "
        "others of its attachments remain, or since the connector does not say which "
        "one is meant. What remains ends when its attachment is deleted. To end one at "
        "once, give the whole connector that it shows (openstack volume attachment "
        "show), or delete it (openstack volume attachment delete).",
        {
            "host": connectors.host_of(connector),
            "initiator": initiator,
            "volume": volume["id"],
        },
    )


def lock_name(volume_id: str) -> str:
    """Give the name of the lock that is held for all work on a volume."""
    return f"taikun_cinder-{volume_id}"


def forget_lock(volume_id: str) -> None:
    """Delete what the lock of a volume that is gone leaves on disk."""
    coordination.synchronized_remove(lock_name(volume_id))
