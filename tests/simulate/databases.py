# SPDX-License-Identifier: Apache-2.0
"""A database that loses rows for a while, and volumes that come and go in it."""

from collections.abc import Iterator
from typing import Any

from tests.simulate import rpc
from tests.simulate.api import FAILURES
from tests.simulate.broken import BrokenError
from tests.simulate.changing import NOT_MIGRATING
from tests.simulate.decisions import Op
from tests.simulate.uses import Uses
from tests.simulate.world import World

#: How many volumes there are at most.
_MOST = 6


class Databases:
    """The operations.

    Args:
        world: where they are done.
        uses: of its volumes.
    """

    def __init__(self, world: World, uses: Uses) -> None:
        self._world, self._uses = world, uses
        self._made = len(world.volumes)

    def possible(self) -> Iterator[Op]:
        """Give what could be done now."""
        if self._world.lost:
            yield "find_rows", {}
        else:
            for share in ("one", "half", "all"):
                for service in ("stays", "too"):
                    yield "lose_rows", {"share": share, "service": service}
        for name, id_ in self._world.volumes.items():
            if self._world.database.volumes[id_]["status"] == "available":
                yield "delete_volume", {"volume": name}
        if len(self._world.volumes) < _MOST:
            for backend in self._world.backends:
                yield "create_volume", {"backend": backend}

    def lose_rows(self, share: str, service: str) -> None:
        """Take rows of attachments out, as an older copy of the database does."""
        world = self._world
        attached = [
            one
            for one in self._uses.idle()
            if one.is_in_use and not world.expected.is_odd(one.volume)
        ]
        if world.lost or not attached:
            return
        number = {"one": 1, "half": (len(attached) + 1) // 2, "all": len(attached)}
        for use in attached[: number[share]]:
            row = world.database.lose_attachment(use.attachment)
            if row is not None:
                world.lost[use.attachment] = row
                use.missing_since = world.passes_before(use)
                is_in = use.session is not None and use.session.alive
                # Nothing else speaks for one that is not logged in.
                use.may_be_cut_off |= use.is_guessed or not is_in
                self._uses.keep(use)
        if service == "too":
            world.lost_services = world.database.lose_services()
        world.expected.touch()

    def find_rows(self) -> None:
        """Bring back the newest copy of the database."""
        self._world.find_rows()
        for use in self._world.expected.uses:
            if use.missing_since is not None:
                use.missing_since = None
                self._uses.give_back(use)
                # It may have been cut off, and the next pass lets it in again.
                self._world.expected.edit(use.volume)

    def create_volume(self, backend: str) -> None:
        """Make another volume."""
        if len(self._world.volumes) < _MOST:
            self._made += 1
            self._world.add_volume(f"v{self._made}", backend)

    def delete_volume(self, volume: str) -> None:
        """Delete a volume (manager.delete_volume)."""
        id_ = self._world.volumes.get(volume)
        row = self._world.database.volumes.get(id_ or "")
        if id_ is None or row is None or row["status"] != "available":
            return
        if row["migration_status"] not in NOT_MIGRATING:
            return
        uses = self._world.expected.uses
        if any(one.volume == id_ and one.is_there for one in uses):
            return  # as Cinder's API would see, but for a race of its own
        row["status"] = "deleting"

        def delete(manager: Any) -> None:
            database = self._world.database
            manager.driver.remove_export(database.request(), database.seen(id_))
            manager.driver.delete_volume(database.seen(id_))
            database.destroy(id_)

        try:
            rpc.call(self._world, f"delete {volume}", id_, delete)
        except FAILURES:
            if not row["deleted"]:
                row["status"] = "available"  # as an operator resets it
                self._bring_back(id_)
                return
        self._world.volumes.pop(volume, None)
        self._see_that_nothing_is_left(id_)

    def _bring_back(self, id_: str) -> None:
        """Make the logical volume of a volume anew, if its deletion came that far."""
        group, name = self._world.volume_at(self._world.place_of(id_))
        if name not in group.contents:
            group.put(name, self._world.latest(id_))

    def _see_that_nothing_is_left(self, volume: str) -> None:
        name = self._world.name_of(volume)
        left = [one for one in self._world.kernel.exported() if one.endswith(name)]
        if left and volume not in self._world.expected.edited:
            raise BrokenError(f"law 2: {name} was deleted, and there is {left}")
