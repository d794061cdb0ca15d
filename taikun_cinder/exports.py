# SPDX-License-Identifier: Apache-2.0
"""Makes the kernel follow Cinder's attachments, one volume at a time, under its lock.

Each call reads the rows afresh, computes who may reach the volume, and makes it so.
What was answered and is not in the rows yet is kept in this process's memory: one
process serves a back end (Cinder runs LVM active/passive only), and
``access.grants`` says what a restart makes of it.
"""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from cinder import coordination
from oslo_log import log as logging

from taikun_cinder import attachments, connectors
from taikun_cinder.access.grants import Memory, grants
from taikun_cinder.access.identity import identity, mark
from taikun_cinder.access.model import Export, Grant, Mode
from taikun_cinder.access.plan import withheld
from taikun_cinder.access.rows import Row
from taikun_cinder.exception import GrantWithheld
from taikun_cinder.layout import Layout
from taikun_cinder.targets.base import Changed, Target

LOG = logging.getLogger(__name__)

_LOCK = "taikun_cinder-{}"


class Exports:
    """The exports of one back end.

    Args:
        target: what exports.
        layout: how.
        rows: reads the attachments of one volume.
        clock: gives seconds, and only goes forward.
    """

    def __init__(
        self,
        target: Target,
        layout: Layout,
        rows: Callable[[str], tuple[Row, ...]] = attachments.of_volume,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.target = target
        self.layout = layout
        self._rows = rows
        self._clock = clock
        self._memories: dict[str, Memory] = {}

    def grant(self, volume: Any, connector: dict[str, Any]) -> Grant:
        """Let the connector's host in.

        The connector is marked, so that its detach can be told from others'.

        Raises:
            InvalidInitiator: the connector names no initiator; nothing is changed.
            GrantWithheld: the host cannot be let in as things are.
        """
        initiator = connectors.initiator_to_attach(connector)
        with self._locked(volume) as (rows, memory):
            after = memory.attach(
                rows, initiator, mark(connector), Mode.RW, self._clock()
            )
            made = self._settle(volume, rows, after)
            observed = self.target.read(self.layout.target(volume))
            if made is None or initiator in withheld(observed, made):
                self._memories[volume["id"]] = memory
                raise GrantWithheld(volume=volume["id"], initiator=initiator)
            return made.grant_of[initiator]

    def end(self, volume: Any, connector: Mapping[str, Any], *, force: bool) -> bool:
        """End one connection of the connector's host; say whether others remain.

        Raises:
            UnknownInitiator: the connector names no initiator; nothing is changed.
        """
        initiator = connectors.initiator_to_detach(volume["id"], connector)
        with self._locked(volume) as (rows, memory):
            after = memory.detach(
                rows, initiator, identity(connector), self._clock(), force=force
            )
            return self._settle(volume, rows, after) is not None

    def end_all(self, volume: Any) -> bool:
        """End all connections; say whether any remains."""
        with self._locked(volume) as (rows, memory):
            ended = sorted(str(one.initiator) for one in grants(rows, memory))
            LOG.warning(
                "All connections of volume %s are ended at once, since the detach came "
                "without a connector: %s",
                volume["id"],
                ", ".join(ended) or "there are none",
            )
            after = memory.detach_all(rows, self._clock())
            return self._settle(volume, rows, after) is not None

    def settle(
        self, volume: Any, *, deleted: bool = False, sweep: float = 0
    ) -> tuple[str, ...]:
        """Make the kernel agree with Cinder; give the initiators that have access.

        Args:
            volume: whose export.
            deleted: the volume itself goes. Then no connection counts that Cinder did
                not write down, or one that it failed to write would keep it for ever.
            sweep: what no row shows and no session uses is forgotten when it is older
                than this many seconds; 0 forgets nothing.
        """
        with self._locked(volume) as (rows, memory):
            after = Memory(ended=memory.ended) if deleted else memory
            if sweep:
                sessions = self.target.sessions(self.layout.target(volume))
                after = after.expire(rows, sessions, self._clock() - sweep)
            made = self._settle(volume, rows, after)
            return tuple(sorted(map(str, made.grant_of))) if made else ()

    @contextlib.contextmanager
    def _locked(self, volume: Any) -> Iterator[tuple[tuple[Row, ...], Memory]]:
        volume_id = volume["id"]
        with coordination.COORDINATOR.get_lock(_LOCK.format(volume_id)):
            rows = self._rows(volume_id)
            memory = self._memories.get(volume_id)
            if memory is None:
                acls = self.target.read(self.layout.target(volume)).acls
                memory = Memory().adopt(rows, acls, self._clock())
            yield rows, memory.follow(rows)

    def _settle(
        self, volume: Any, rows: tuple[Row, ...], memory: Memory
    ) -> Export | None:
        """Make the kernel agree; give what must be in it by now."""
        desired = self._desired(volume, grants(rows, memory))
        outcome = self.target.ensure(self.layout.target(volume), desired)
        if isinstance(outcome, Changed):
            LOG.info(
                "Export of volume %(volume)s put right: %(steps)s",
                {
                    "volume": volume["id"],
                    "steps": "; ".join(str(step) for step in outcome.steps),
                },
            )
        # Only now: what could not be made so was not answered either.
        self._memories[volume["id"]] = memory
        return desired

    def _desired(self, volume: Any, granted: frozenset[Grant]) -> Export | None:
        """Give what must be in the kernel.

        A disk that hosts were given keeps its serial until the last of them is
        detached, also one that the in-tree driver made up. Else a reconcile that finds
        all of them cut off for a moment would give them another disk.
        """
        export = self.layout.export(volume, granted)
        if export is None:
            return None
        made = self.target.read(export.target).backstore
        if made is None or not made.serial:
            return export
        return dataclasses.replace(export, serial=made.serial)

    def forget(self, volume_id: str) -> None:
        """Forget a volume that is gone."""
        self._memories.pop(volume_id, None)


def forget_lock(volume_id: str) -> None:
    """Delete what the lock of a volume that is gone leaves on disk."""
    coordination.synchronized_remove(_LOCK.format(volume_id))
