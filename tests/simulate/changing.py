# SPDX-License-Identifier: Apache-2.0
"""Volumes that grow, and get another type, whether they are in use or not."""

from collections.abc import Iterator
from typing import Any

from tests.simulate import rpc
from tests.simulate.api import FAILURES
from tests.simulate.broken import BrokenError
from tests.simulate.decisions import Op
from tests.simulate.tables import Values
from tests.simulate.types import SPECS, is_multiattach
from tests.simulate.uses import Uses
from tests.simulate.world import World

#: The statuses in which users change a volume.
_IDLE = ("available", "in-use")

#: AVAILABLE_MIGRATION_STATUS of Cinder's API.
NOT_MIGRATING = (None, "deleting", "error", "success")

#: How long the driver may take to give a volume back that it cannot extend.
_SOON = 90.0


class Changing:
    """The operations.

    Args:
        world: where they are done.
        uses: of its volumes.
    """

    def __init__(self, world: World, uses: Uses) -> None:
        self._world, self._uses = world, uses
        self._extended: dict[str, float] = {}

    def possible(self) -> Iterator[Op]:
        """Give what could be done now."""
        for volume, id_ in self._world.volumes.items():
            row = self._world.database.volumes[id_]
            if row["status"] not in _IDLE:
                continue
            for snapshot in ("no", "yes"):
                yield "extend", {"volume": volume, "snapshot": snapshot}
            for type_ in SPECS:
                if type_ != row["volume_type_id"]:
                    yield "retype", {"volume": volume, "to": type_}

    def extend(self, volume: str, snapshot: str) -> None:
        """Extend a volume (API._extend); with a thick snapshot only an idle one."""
        id_ = self._world.volumes.get(volume)
        if id_ is None:
            return
        before = self._begin(id_, "extending")
        if before is None:
            return
        group, name = self._world.backend_of(id_).group, self._world.name_of(id_)
        if snapshot == "yes":
            group.with_snapshot.add(name)

        def extend(manager: Any) -> None:
            own = self._world.database.volume(id_)
            context = self._world.database.request()
            manager.extend_volume(context, own, own.size + 1, None)

        process = self._world.backend_of(id_).process
        self._extended[id_] = began = self._world.scheduler.now
        self._cast(f"extend {volume}", id_, extend)
        self._world.scheduler.sleep(_SOON)
        group.with_snapshot.discard(name)
        status = self._world.database.volumes[id_]["status"]
        # Another extension since then is looked at in its own time.
        is_last = self._extended[id_] == began
        if status == "error_extending" and is_last and not process.dead:
            raise BrokenError(f"liveness: {volume} could not grow, and stays {status}")
        self._give_back(id_, ("extending", "error_extending"), before)

    def retype(self, volume: str, to: str) -> None:
        """Give a volume another type (API.retype)."""
        id_ = self._world.volumes.get(volume)
        row = self._world.database.volumes.get(id_ or "")
        if id_ is None or row is None or to == row["volume_type_id"]:
            return
        if is_multiattach(to) != row["multiattach"] and row["status"] != "available":
            return
        before = self._begin(id_, "retyping")
        if before is None:
            return
        self._world.types_of(id_).add(to)
        self._write(id_, {"multiattach": is_multiattach(to)})

        def retype(manager: Any) -> None:
            own = self._world.database.volume(id_)
            host = {"host": own.host, "cluster_name": None}
            manager.retype(self._world.database.request(), own, to, host)

        self._cast(f"retype {volume}", id_, retype)
        # As the page Limitations says, Cinder leaves it so where it was refused.
        now = row["volume_type_id"]
        self._write(id_, {"multiattach": is_multiattach(now)})
        self._give_back(id_, ("retyping",), before)

    def _begin(self, volume: str, status: str) -> str | None:
        """Let a volume have another status; give the one that it had, or None."""
        try:
            row = self._world.database.volume(volume)
            before = str(row.status)
            wanted = {
                "status": before,
                "deleted": False,
                "migration_status": NOT_MIGRATING,
            }
            done = before in _IDLE and row.conditional_update(
                {"status": status, "previous_status": before}, wanted
            )
        except FAILURES:
            return None
        return before if done else None

    def _cast(self, what: str, volume: str, work: Any) -> None:
        try:
            rpc.call(self._world, what, volume, work)
        except FAILURES:
            return

    def _write(self, volume: str, values: Values) -> None:
        self._world.database.volumes[volume].update(values)

    def _give_back(self, volume: str, statuses: tuple[str, ...], before: str) -> None:
        """Give a volume its status back, as an operator does."""
        row = self._world.database.volumes[volume]
        if row["status"] in statuses:
            row["status"] = before
