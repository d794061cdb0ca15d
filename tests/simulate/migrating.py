# SPDX-License-Identifier: Apache-2.0
"""Volumes that migrate to another back end, by a host's copy or by the driver's.

What cinder-volume does is Cinder's real code: manager.migrate_volume, and all that it
calls. What a migration that failed leaves is put right as an operator does it.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from tests.simulate import rpc
from tests.simulate.api import FAILURES
from tests.simulate.attaching import Attaching
from tests.simulate.backends import Backend, Request
from tests.simulate.broken import BrokenError
from tests.simulate.changing import NOT_MIGRATING
from tests.simulate.copies import Copying
from tests.simulate.decisions import Op
from tests.simulate.own_connections import OwnConnections
from tests.simulate.tables import Values
from tests.simulate.types import SPECS, is_multiattach
from tests.simulate.uses import Uses
from tests.simulate.world import World

#: How long a request waits for a service that does not run, before an operator takes
#: it back, in seconds.
_PATIENCE = 400.0

#: What migrates a volume, of its back end's manager.
_Work = Callable[[Any, Any, Values], None]


class Migrating:
    """The operations.

    Args:
        world: where they are done.
        uses: of its volumes.
        attaching: logs hosts in.
        own: the other connections of Cinder's own.
    """

    def __init__(
        self, world: World, uses: Uses, attaching: Attaching, own: OwnConnections
    ) -> None:
        self._world, self._uses, self._attaching = world, uses, attaching
        self._own = own
        #: The volumes that are being migrated.
        self._moving: set[str] = set()

    def possible(self) -> Iterator[Op]:
        """Give what could be done now."""
        for volume, id_ in self._world.volumes.items():
            if self._can_be_moved(id_):
                for host in self._world.hosts:
                    names = {"volume": volume, "host": host}
                    for lock in ("yes", "no"):
                        for by in ("host", "driver"):
                            yield "migrate_volume", {**names, "lock": lock, "by": by}
                    for type_ in SPECS:
                        yield "retype_elsewhere", {**names, "to": type_}
            if id_ not in self._moving and any(self._left(id_)):
                yield "delete_source", {"volume": volume}

    def _can_be_moved(self, id_: str) -> bool:
        """Say whether Cinder's API lets a volume be migrated, that nobody has.

        One that a server has is migrated by Nova, which is not in these runs.
        """
        row = self._world.database.volumes[id_]
        uses = (one for one in self._world.expected.uses if one.volume == id_)
        return (
            len(self._world.backends) > 1
            and row["status"] == "available"
            and row["migration_status"] in NOT_MIGRATING
            and not self._world.database.attachments_of(id_)
            and not any(one.is_there for one in uses)
        )

    def migrate_volume(self, volume: str, host: str, lock: str, by: str) -> None:
        """Migrate a volume (API.migrate_volume).

        Args:
            volume: its name.
            host: that the cinder-volume of its back end is on.
            lock: whether nobody is to use it meanwhile.
            by: whose copy it is: a host's, or the driver's if it can.
        """
        status = {"status": "maintenance"} if lock == "yes" else {}

        def migrate(manager: Any, row: Any, place: Values) -> None:
            context, copies = self._world.database.request(), by == "host"
            manager.migrate_volume(context, row, place, force_host_copy=copies)

        self._move(volume, host, {"migration_status": "starting", **status}, migrate)

    def retype_elsewhere(self, volume: str, host: str, to: str) -> None:
        """Give a volume a type of another back end (API.retype), which migrates it."""
        id_ = self._world.volumes.get(volume)
        row = self._world.database.volumes.get(id_ or "")
        if id_ is None or row is None or to == row["volume_type_id"]:
            return

        def retype(manager: Any, row: Any, place: Values) -> None:
            context, policy = self._world.database.request(), "on-demand"
            manager.retype(context, row, to, place, migration_policy=policy)

        self._world.types_of(id_).add(to)
        self._move(volume, host, {"status": "retyping"}, retype)
        # Cinder writes what the new type says when it has asked for it, and what the
        # old one says over it.
        if (type_ := row["volume_type_id"]) and not row["deleted"]:
            row["multiattach"] = is_multiattach(type_)

    def _move(self, volume: str, host: str, values: Values, work: _Work) -> None:
        id_, found = self._world.volumes.get(volume), self._world.hosts[host]
        if id_ is None or id_ in self._moving or found.is_down:
            return
        if not self._can_be_moved(id_) or (id_, host) in self._own.cleaned:
            return
        to = next(
            one
            for one in self._world.backends.values()
            if one is not self._world.backend_of(id_)
        )
        row = self._begin(id_, values) if to.is_up and to.is_ready else None
        if row is None:
            return
        self._moving.add(id_)
        self._own.copied.add((id_, host))
        before = self._place(id_)
        for use in self._world.expected.uses:
            if use.volume == id_ and use.may_reach:
                # Until that is over, it may be wherever the volume has been since.
                use.places.add(self._world.place_of(id_))
        copying = Copying(self._world, self._uses, self._attaching, found)
        self._ask(f"migrate {volume}", row, copying, work, to)
        self._settle(id_, copying, before)
        self._moving.discard(id_)
        self._own.copied.discard((id_, host))

    def _begin(self, volume: str, values: Values) -> Any:
        """Write what Cinder's API writes; None if it refuses."""
        try:
            row = self._world.database.volume(volume)
            wanted = {"status": "available", "migration_status": NOT_MIGRATING}
            values = {"previous_status": "available", **values}
            done = row.conditional_update(values, wanted)
        except FAILURES:
            return None
        return row if done else None

    def _ask(
        self, what: str, row: Any, copying: Copying, work: _Work, to: Backend
    ) -> None:
        """Ask the volume's back end to migrate it, and wait until it does no more."""
        driver, group = to.driver, to.group.vg_name
        info = f"LVMVolumeDriver:{driver.hostname}:{group}:default:0"
        place = {
            "host": f"{to.host}#pool",
            "cluster_name": None,
            "capabilities": {"location_info": info},
        }

        def migrate(manager: Any) -> None:
            copying.serve()
            work(manager, self._world.database.sent(row), place)

        request = rpc.cast(self._world, what, row.id, migrate)
        if request is None:
            return
        scheduler = self._world.scheduler
        deadline = scheduler.now + _PATIENCE
        if scheduler.block(lambda: request.process is not None, deadline):
            scheduler.block(lambda: not request.is_pending)
        else:
            request.given_up = True

    def _settle(self, id_: str, copying: Copying, before: tuple[str, str]) -> None:
        """Put right what is left, as an operator does, when nobody is at work on it."""
        scheduler = self._world.scheduler
        for request in copying.requests:
            # What nobody waits for any more is not delivered.
            request.given_up |= request.process is None
        requests = [*copying.requests, *copying.casts]
        deadline = scheduler.now + _PATIENCE
        scheduler.block(lambda: not any(map(_waits, requests)), deadline)
        for request in requests:
            request.given_up |= request.process is None  # as an operator purges it
        scheduler.block(lambda: not any(one.is_pending for one in requests))
        copying.end()
        for left in self._left(id_):
            self._give_up(left)
        row = self._world.database.volumes[id_]
        if row["deleted"] or row["status"] == "deleting":
            return
        if row["migration_status"] not in NOT_MIGRATING:
            row["migration_status"] = "error"
        attached = any(
            one["attach_status"] == "attached"
            for one in self._world.database.attachments_of(id_)
        )
        idle = not self._world.database.attachments_of(id_)
        if row["status"] in ("maintenance", "retyping") or (
            idle and row["status"] == "in-use"
        ):
            row["status"] = "available"
        if attached and row["status"] == "available":
            row["status"] = "in-use"
        row["attach_status"] = "attached" if attached else "detached"
        self._find(id_, before)

    def _place(self, id_: str) -> tuple[str, str]:
        """Give the back end of a volume, and the name of its logical volume."""
        return self._world.backend_of(id_).name, self._world.name_of(id_)

    def _find(self, id_: str, before: tuple[str, str]) -> None:
        """Let the row of a volume lead to what is on it.

        Cinder changes rows in more than one transaction, and after what they speak of.

        Raises:
            BrokenError: it is nowhere any more.
        """
        latest = self._world.latest(id_)
        everywhere = [
            (name, volume)
            for name, backend in self._world.backends.items()
            for volume in backend.group.contents
        ]
        for name, volume in (self._place(id_), before, *everywhere):
            backend = self._world.backends[name]
            if backend.group.contents.get(volume) == latest:
                name_id = volume.removeprefix("volume-")
                self._world.database.volumes[id_].update(
                    host=f"{backend.host}#pool",
                    _name_id=None if name_id == id_ else name_id,
                )
                return
        raise BrokenError(f"data: what is on {id_} is lost")

    def _left(self, id_: str) -> Iterator[str]:
        """Give the ids of what failed migrations of a volume have left in Cinder."""
        database = self._world.database
        for other, migrated in database.migrations.items():
            if migrated == id_ and not database.volumes[other]["deleted"]:
                yield other

    def delete_source(self, volume: str) -> None:
        """Delete what a migration has left in Cinder, as an operator does."""
        id_ = self._world.volumes.get(volume)
        if id_ is None or id_ in self._moving:
            return
        for left in list(self._left(id_)):
            self._delete(left)

    def delete_again(self) -> None:
        """Delete what is half deleted, as cinder-volume does at its start."""
        database = self._world.database
        for left in database.migrations:
            group, name = self._world.volume_at(self._world.place_of(left))
            if not database.volumes[left]["deleted"] and name not in group.contents:
                self._delete(left)

    def _delete(self, left: str) -> None:
        row = self._world.database.volumes[left]
        row.update(status="deleting", migration_status=None, attach_status="detached")

        def delete(manager: Any) -> None:
            database = self._world.database
            manager.delete_volume(database.request(), database.volume(left))

        with contextlib.suppress(*FAILURES):
            rpc.call(self._world, f"delete {left[:8]}", left, delete)
        self._give_up(left)

    def _give_up(self, left: str) -> None:
        """Say of what nobody makes or deletes any more that it has failed.

        Cinder's cleanup does it at the next start of cinder-volume.
        """
        row = self._world.database.volumes[left]
        if not row["deleted"] and row["status"] in ("creating", "deleting"):
            row["status"] = "error_deleting"


def _waits(request: Request) -> bool:
    return request.process is None and not request.given_up
