# SPDX-License-Identifier: Apache-2.0
"""What must hold when the faults have stopped: the two sides agree, nothing leaks."""

import json
from collections.abc import Callable

from taikun_cinder.access.model import Initiator
from tests.simulate import rpc
from tests.simulate.broken import BrokenError
from tests.simulate.decisions import Replay
from tests.simulate.model import Use
from tests.simulate.patches import Run
from tests.simulate.stories import Stories
from tests.simulate.tables import Values
from tests.simulate.world import World

#: How many passes, and how long after each other in seconds, end all that can be over.
_PASSES, _PAUSE = 4, 400.0


class Rest:
    """The end of a run.

    Args:
        world: the world, where nobody is at work any more.
        stories: its operations.
    """

    def __init__(self, world: World, stories: Stories) -> None:
        self._world, self._stories = world, stories
        self._number = 0

    def check(self) -> None:
        """Let it come to rest, and look.

        Raises:
            BrokenError: something is not as it must be.
        """
        world = self._world
        world.scheduler.decisions = Replay({})
        world.begin = lambda: False
        self._stories.databases.find_rows()
        for backend in world.backends.values():
            world.move_volumes(backend)
            if not backend.is_up:
                self._do(backend.start)
        self._do(self._stories.migrating.delete_again)
        self._reconcile()
        for host in world.hosts.values():
            host.is_down = False
        world.fabric.log_in_again()
        self._everybody_is_in()
        self._pass_often()
        self._nobody_else_is_in()
        self._do(self._end_all)
        self._pass_often()
        self._nothing_is_exported()
        self._do(self._delete_all)
        self._nothing_is_left()

    def _do(self, work: Callable[[], object]) -> None:
        self._number += 1
        scheduler = self._world.scheduler
        scheduler.spawn("rest", self._world.api, work, name=f"rest{self._number}")
        scheduler.run()

    def _reconcile(self) -> None:
        def work() -> None:
            for backend in self._world.backends.values():
                if not rpc.reconcile(self._world, backend):
                    raise BrokenError(f"law 3: the reconcile of {backend.name} fails")

        self._do(work)

    def _pass_often(self) -> None:
        for _ in range(_PASSES):
            self._do(lambda: self._world.scheduler.sleep(_PAUSE))
            self._reconcile()

    def _everybody_is_in(self) -> None:
        """After one pass, who is attached has his disk (laws 1 and 3)."""
        for use in self._world.expected.uses:
            if use.state == "granted" and use.session and not use.may_be_cut_off:
                can = self._world.kernel.can(use.session, write=use.writes)
                if not can:
                    raise BrokenError(
                        f"law 3: after one pass {use.server} on {use.host.name} has no "
                        f"disk of {self._world.name_of(use.volume)[:15]}"
                    )

    def _nobody_else_is_in(self) -> None:
        """By and by, nobody has access but by an attachment (laws 2 and 3)."""
        kernel = self._world.kernel
        for target in sorted(kernel.exported()):
            if self._may_be_told(target):
                continue
            wanted = {
                name
                for row in self._rows()
                if target.endswith(self._world.name_of(row["volume_id"]))
                if (name := _initiator(row))
            }
            wanted.update(
                use.host.initiator
                for use in self._world.expected.uses
                if target.rpartition(":")[2] in self._world.names_of(use)
                if use.may_reach
            )
            for initiator in sorted(set(kernel.initiators(target)) - wanted):
                raise BrokenError(f"law 3: {initiator} stays in {target}")

    def _may_be_told(self, target: str) -> bool:
        """Say whether a host may have been told a target, and nobody knows which."""
        database = self._world.database
        own = [one for one in database.volumes if target.endswith(one)]
        return self._world.has_other_prefix and any(map(database.nameless, own))

    def _rows(self) -> list[Values]:
        database = self._world.database
        return [
            dict(row)
            for row in database.attachments.values()
            if not (row["deleted"] or database.volumes[row["volume_id"]]["deleted"])
        ]

    def _end_all(self) -> None:
        """End all uses, and attachments that nobody knows of."""
        world = self._world
        for use in [one for one in world.expected.uses if one.state != "ended"]:
            self._stories.end(use)
        for use in [one for one in world.expected.uses if one.is_left_in]:
            world.fabric.log_out_by_hand(use)
        for row in self._rows():
            host = next(iter(world.hosts.values()))
            self._stories.attaching.end(
                Use(row["volume_id"], "", host, row["id"], writes=False)
            )
        left = [row["id"] for row in self._rows()]
        if left:
            raise BrokenError(f"liveness: these cannot be detached: {left}")

    def _nothing_is_exported(self) -> None:
        exported = self._world.kernel.exported()
        if left := sorted(name for name in exported if not self._is_begun_only(name)):
            raise BrokenError(f"law 3: nobody is attached, and there is {left}")

    def _is_begun_only(self, target: str) -> bool:
        """Say whether an export was begun only, of a volume that is gone.

        Without a device nobody can tell whose it was. Cinder forgets the volume that a
        migration has made, also where it could not be deleted (manager._clear_db).
        """
        database, kernel = self._world.database, self._world.kernel
        gone = [one for one in database.migrations if target.endswith(one)]
        deleted = all(database.volumes[one]["deleted"] for one in gone)
        return bool(gone) and deleted and not kernel.device(target)

    def _delete_all(self) -> None:
        rows = self._world.database.volumes
        for id_ in [one for one, row in rows.items() if not row["deleted"]]:
            volume = self._world.database.volume(id_)
            self._world.backend_of(id_).driver.delete_volume(volume)
            self._world.database.volumes[id_]["deleted"] = True

    def _nothing_is_left(self) -> None:
        kept = self._world.disk.kept
        if files := [path for path, _ in self._world.disk.walk() if path not in kept]:
            raise BrokenError(f"leak: no volume is left, and these files are: {files}")
        if held := [name for name, lock in Run.locks.items() if lock.owner]:
            raise BrokenError(f"leak: these locks are held: {held}")


def _initiator(row: Values) -> Initiator | None:
    name = json.loads(row["connector"] or "{}").get("initiator")
    return Initiator(name) if name else None
