# SPDX-License-Identifier: Apache-2.0
"""The laws of design.md, as what must hold after each step, and what at rest."""

import weakref
from collections.abc import Iterator

from taikun_cinder.access.model import Initiator
from taikun_cinder.targets.lio.states import LUN
from tests.simulate.broken import BrokenError
from tests.simulate.kernels import Session
from tests.simulate.model import Use
from tests.simulate.patches import SecretsSeen
from tests.simulate.world import World


class Laws:
    """Looks at a world after each step.

    Args:
        world: the world.
        secrets: has seen its log.
    """

    def __init__(self, world: World, secrets: SecretsSeen) -> None:
        self._world, self._secrets = world, secrets
        self.broken = ""
        self._before: tuple[int, int] = (0, 0)
        self._with_main_disk: weakref.WeakSet[object] = weakref.WeakSet()
        secrets.found.clear()

    def look(self) -> None:
        """Look at all that may have changed.

        Raises:
            BrokenError: a law is broken.
        """
        changed = self._world.kernel.changed
        state = self._world.expected.changes, self._world.kernel.boots
        if not changed and state == self._before and not self._secrets.found:
            return
        targets = set(changed) if state == self._before else set()
        changed.clear()
        self._before = state
        for cause in self._broken(targets or set(self._world.kernel.exported())):
            self.broken = self.broken or cause
            raise BrokenError(cause)

    def _broken(self, targets: set[str]) -> Iterator[str]:
        if self._secrets.found:
            yield f"law 7: a password is in the log: {self._secrets.found[0]}"
        edited = {self._world.name_of(one) for one in self._world.expected.edited}
        for target in sorted(targets):
            if target.rpartition(":")[2] in edited:
                continue
            yield from self._beyond(target)
            yield from self._serial(target)
            yield from self._by_chance(target)
        for use in self._world.expected.uses:
            if self._world.must_reach(use):
                yield from self._lost(use, use.session)
                yield from self._without_data(use, use.session)

    def _beyond(self, target: str) -> Iterator[str]:
        """Tell who reaches a volume, and should not (laws 2 and 4)."""
        uses = self._uses_of(target)
        for initiator, writing in self._world.kernel.ways(target):
            own = [one for one in uses if one.host.initiator == initiator]
            if not own:
                yield f"law 2: {_named(initiator)} reaches {_short(target)} by nothing"
                continue
            own += self._lingering(target, initiator)
            if writing and not any(map(self._may_write, own)):
                yield (
                    f"law 4: {_named(initiator)} can write to {_short(target)}, and "
                    "may only read"
                )

    def _lingering(self, target: str, initiator: Initiator) -> list[Use]:
        return [
            use
            for use in self._world.expected.uses
            if use.lingers and use.host.initiator == initiator
            if target.rpartition(":")[2] in self._world.names_of(use)
        ]

    def _may_write(self, use: Use) -> bool:
        # Without its record, what is not written down yet is taken for the usual.
        lost = use.mode_is_late and use.volume in self._world.expected.damaged
        # Of a row that is missing nobody knows its mode.
        told = use.is_told_to_write or use.is_old or self._may_inherit(use)
        return use.writes or use.asks or told or lost or use.missing_since is not None

    def _may_inherit(self, use: Use) -> bool:
        """Say whether it may have the mode of a connection that is taken for its."""
        old = (one for one in self._world.expected.uses if one.is_old)
        return use.mode_is_late and any(one.volume == use.volume for one in old)

    def _uses_of(self, target: str) -> list[Use]:
        name, device = target.rpartition(":")[2], self._world.kernel.device(target)
        return [
            use
            for use in self._world.expected.uses
            if use.may_reach and name in self._world.names_of(use)
            # Where a volume was migrated from is not where it is, whatever its name.
            if not device or device in self._world.places_of(use)
        ]

    def _lost(self, use: Use, session: Session | None) -> Iterator[str]:
        """Tell whose disk went away, though its attachment is there (law 1)."""
        if session is None:
            return
        writes = use.writes and not (use.mode_is_late or self._may_be_held(use))
        if not self._world.kernel.can(session, write=writes):
            what = "write to" if self._world.kernel.can(session, write=False) else "use"
            yield (
                f"law 1: {use.host.name} cannot {what} {_short(session.name)} any "
                f"more, and {use.server} is attached there"
            )

    def _without_data(self, use: Use, session: Session | None) -> Iterator[str]:
        """Tell whose disk does not have what is on the volume."""
        device = session and self._world.kernel.device(session.name)
        if not device or use.server == "cinder":
            return
        content, latest = self._world.content(device), self._world.latest(use.volume)
        if content != latest:
            yield f"data: {use.host.name} has {device} with {content}, not {latest}"

    def _may_be_held(self, use: Use) -> bool:
        """Say whether another's mode may be taken for a use's, which is of the old API.

        As long as its own attachment is not there, that of a reader may be it. And who
        came without a reservation is taken for Cinder itself, and Cinder for him.
        """
        if use.server == "cinder":
            return any(
                other.is_unknown and other.wish == "ro" and other.volume == use.volume
                for other in self._world.expected.uses
            )
        shown = (use.is_seen or not use.is_old) and use.missing_since is None
        return not shown and any(
            other.is_old and other.wish == "ro" and other.volume == use.volume
            for other in self._world.expected.uses
        )

    def _by_chance(self, target: str) -> Iterator[str]:
        """Tell who reads what is in the node's memory.

        LIO answers who has a session, and no LUN 0, by a LUN of its own. Whose kernel
        has a disk of LUN 0, since the session had one, may ask for it still.
        """
        asking = {
            use.host.initiator
            for use in self._world.expected.uses
            if use.session and use.session.name == target and use.lun == LUN
        }
        for initiator, session, is_there in self._world.kernel.main_disks(target):
            if is_there:
                self._with_main_disk.add(session)
            elif session in self._with_main_disk and initiator in asking:
                yield (
                    f"data: {_named(initiator)} is logged in to {_short(target)}, and "
                    "lost LUN 0: it reads from the node's memory"
                )

    def _serial(self, target: str) -> Iterator[str]:
        """Tell whose disk became another one (law 5)."""
        serial = self._world.kernel.serial(target)
        if not serial:
            return
        name = target.rpartition(":")[2]
        known = self._world.expected.serials.setdefault(name, serial)
        if known != serial:
            yield f"law 5: {_short(target)} had the serial {known} and has another"


def _named(initiator: Initiator) -> str:
    return initiator.name.rpartition(":")[2]


def _short(target: str) -> str:
    return target.rpartition(":")[2][:15]
