# SPDX-License-Identifier: Apache-2.0
"""Makes the kernel follow Cinder's attachments, one volume at a time, under its lock.

Each call reads the rows and the volume's record afresh, computes who may reach the
volume, makes it so, and writes the record before it answers. Nothing is kept in this
process, so a restart forgets nothing, and several processes on one node do no harm.
"""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from cinder import coordination
from oslo_log import log as logging

from taikun_cinder import attachments, connectors, modes
from taikun_cinder.access.grants import Memory, grants
from taikun_cinder.access.identity import identity, is_marked, mark
from taikun_cinder.access.model import Export, Grant, Initiator
from taikun_cinder.access.rows import Row
from taikun_cinder.admission import Admitted, Terms, admit
from taikun_cinder.batches import Batches
from taikun_cinder.enforcement import Enforcement, Made
from taikun_cinder.exception import RecordNotWritten
from taikun_cinder.layout import Layout
from taikun_cinder.records import Record, Records
from taikun_cinder.targets.base import Target

LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class _Known:
    """What is known about a volume when its lock is taken.

    Attributes:
        rows: Cinder's attachments, read after the lock was taken.
        memory: what they do not show.
        record: as it is on disk, None if there is none.
    """

    rows: tuple[Row, ...]
    memory: Memory
    record: Record | None


@dataclasses.dataclass(frozen=True)
class _Asked:
    """A host that is to be let in."""

    volume: Any
    connector: dict[str, Any]
    terms: Terms
    initiator: Initiator


class Exports:
    """The exports of one back end.

    Args:
        target: what exports.
        layout: how.
        records: what is known beside Cinder's rows.
        activate: makes a volume's block device appear.
        patience: how long a host without an attachment may need to log in, in seconds.
        rows: reads the attachments of one volume.
        clock: gives seconds, and only goes forward between two boots of the node.
    """

    def __init__(
        self,
        target: Target,
        layout: Layout,
        records: Records,
        activate: Callable[[Any], None],
        patience: float = 300,
        rows: Callable[[str], tuple[Row, ...]] = attachments.of_volume,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.target = target
        self.layout = layout
        self._records = records
        self._enforcement = Enforcement(target, layout, activate)
        self._patience = patience
        self._rows = rows
        self._clock = clock
        self._attaches = Batches[_Asked, tuple[Grant, Admitted]](self._grant)

    def grant(
        self, volume: Any, connector: dict[str, Any], terms: Terms
    ) -> tuple[Grant, Admitted]:
        """Let the connector's host in.

        The connector is marked, so that its detach can be told from others', and what
        the host may do is written there.

        Returns:
            what the host has by all its connections, and what it has by this one.

        Raises:
            InvalidInitiator: the connector names no initiator; nothing is changed.
            AttachmentRefused: the volume's rule is against it; nothing is changed.
            GrantWithheld: the host cannot be let in as things are.
        """
        initiator = connectors.initiator_to_attach(connector)
        asked = _Asked(volume, connector, terms, initiator)
        return self._attaches.do(volume["id"], asked)

    def _grant(self, asked: Sequence[_Asked]) -> list[tuple[Grant, Admitted]]:
        """Let hosts in to one volume, in this order; all of them, or raise."""
        volume, who = asked[0].volume, {one.initiator for one in asked}
        with self._locked(volume) as known:
            admitted, after = [], known.memory
            for one in asked:
                new, after = self._admit(one, known.rows, after)
                admitted.append(new)
            made = self._make(volume, known, after, who)
            granted = [made.grant_of(volume, one.initiator) for one in asked]
            self._keep(volume, known, Record(made.export, after))
            return list(zip(granted, admitted, strict=True))

    def _admit(
        self, asked: _Asked, rows: tuple[Row, ...], memory: Memory
    ) -> tuple[Admitted, Memory]:
        connector = asked.connector
        new = admit(asked.volume, connector, mark(connector), asked.terms, rows, memory)
        modes.leave(connector, new.mode)
        after = memory.attach(
            rows, asked.initiator, new.identity, new.mode, self._clock(), new.user
        )
        return new, after

    def follow(self, volume: Any) -> frozenset[str]:
        """Let the kernel follow the rows; give the connections they do not show yet."""
        with self._locked(volume) as known:
            had = known.record.export if known.record else None
            now = grants(known.rows, known.memory)
            if now != (had.grants if had else frozenset()):
                self._settle(volume, known, known.memory)
            return frozenset(one.identity for one in known.memory.flights)

    def end(self, volume: Any, connector: Mapping[str, Any]) -> bool:
        """End one connection of the connector's host; say whether others remain.

        Raises:
            UnknownInitiator: the connector names no initiator; nothing is changed.
        """
        initiator = connectors.initiator_to_detach(volume["id"], connector)
        with self._locked(volume) as known:
            after = known.memory.detach(
                known.rows,
                initiator,
                identity(connector),
                self._clock(),
                marked=is_marked(connector),
            )
            return self._settle(volume, known, after, {initiator}) is not None

    def end_all(self, volume: Any) -> bool:
        """End all connections; say whether any remains."""
        with self._locked(volume) as known:
            ended = (str(one.initiator) for one in grants(known.rows, known.memory))
            LOG.warning(
                "All connections of volume %s are ended at once, since the detach came "
                "without a connector: %s",
                volume["id"],
                ", ".join(sorted(ended)) or "there are none",
            )
            after = known.memory.detach_all(known.rows, self._clock())
            return self._settle(volume, known, after) is not None

    def settle(
        self,
        volume: Any,
        *,
        deleted: bool = False,
        sweep: float = 0,
        search: bool = False,
    ) -> tuple[str, ...]:
        """Make the kernel agree with Cinder; give the initiators that have access.

        Args:
            volume: whose export.
            deleted: the volume itself goes. Then no connection counts that Cinder did
                not write down, or one that it failed to write would keep it for ever.
            sweep: what rows should show by now and do not is forgotten when it is older
                than this many seconds; 0 forgets nothing.
            search: see ``Enforcement.make``. It is done for a deletion in any case.
        """
        with self._locked(volume) as known:
            if self._enforcement.shows_another(volume):
                return ()
            after = Memory(ended=known.memory.ended) if deleted else known.memory
            if sweep:
                # They count only for what the rows do not show.
                name = self.layout.target(volume)
                sessions = self.target.sessions(name) if after.flights else ()
                after = after.expire(
                    known.rows, sessions, self._clock(), sweep, self._patience
                )
            made = self._make(volume, known, after, search=search or deleted).export
            try:
                self._keep(volume, known, Record(made, after))
            except RecordNotWritten as error:
                # Nobody was promised anything, and the export is right. At its start
                # Cinder would put the volume into an error status for this.
                LOG.error(error.msg)
            return tuple(sorted(map(str, made.grant_of))) if made else ()

    def expects(self, volume: Any) -> bool:
        """Say whether the volume was left exported, whatever the kernel has now."""
        record = self._records.load(volume["id"])
        return record is not None and record.export is not None

    def forget(self, volume: Any) -> None:
        """Forget a volume that is gone."""
        with self._lock(volume):
            self._records.forget(volume["id"])

    @contextlib.contextmanager
    def _locked(self, volume: Any) -> Iterator[_Known]:
        with self._lock(volume):
            rows, now = self._rows(volume["id"]), self._clock()
            record = self._records.load(volume["id"])
            if record is None:
                acls = self.target.read(self.layout.target(volume)).acls
                memory = Memory().adopt(rows, acls, now)
            else:
                memory = record.memory.not_after(now)
            yield _Known(rows, memory.follow(rows), record)

    def _lock(self, volume: Any) -> Any:
        # By the name, which two rows may have for a while.
        return coordination.COORDINATOR.get_lock(lock_name(volume["name_id"]))

    def _settle(
        self,
        volume: Any,
        known: _Known,
        memory: Memory,
        about: Collection[Initiator] | None = None,
    ) -> Export | None:
        """Make the kernel agree, and keep it; give what must be in it by now."""
        made = self._make(volume, known, memory, about).export
        self._keep(volume, known, Record(made, memory))
        return made

    def _make(
        self,
        volume: Any,
        known: _Known,
        memory: Memory,
        about: Collection[Initiator] | None = None,
        *,
        search: bool = False,
    ) -> Made:
        """Make the kernel agree; see ``Enforcement.make``."""
        granted = grants(known.rows, memory)
        return self._enforcement.make(
            volume, known.record, granted, about, search=search
        )

    def _keep(self, volume: Any, known: _Known, record: Record) -> None:
        # Where there is none, there is no need of one that is empty: a reconcile that
        # comes just after a volume was deleted would leave it behind for ever.
        if record != (known.record or Record()):
            self._records.save(volume["id"], record)


def lock_name(volume_id: str) -> str:
    """Give the name of a volume's lock, under which all of this happens."""
    return f"taikun_cinder-{volume_id}"


def forget_lock(volume_id: str) -> None:
    """Delete what the lock of a volume that is gone leaves on disk."""
    coordination.synchronized_remove(lock_name(volume_id))
