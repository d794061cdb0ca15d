# SPDX-License-Identifier: Apache-2.0
"""Attach and detach by Cinder's old API, and os-force_detach."""

import contextlib
from collections.abc import Iterator

from taikun_cinder.access.termination import REPEATED_WITHIN
from tests.simulate.api import FAILURES
from tests.simulate.attaching import Attaching
from tests.simulate.changing import NOT_MIGRATING
from tests.simulate.decisions import Op
from tests.simulate.model import Use
from tests.simulate.old_api import OldApi
from tests.simulate.uses import Uses
from tests.simulate.world import World

#: How often a detach is tried before its caller gives up.
_TRIES = 2

#: The statuses of a volume that servers have, or may have.
_ATTACHED = ("available", "reserved", "attaching", "in-use")


class OldAttaching:
    """The operations.

    Args:
        world: where they are done.
        uses: of its volumes.
        attaching: logs hosts in.
    """

    def __init__(self, world: World, uses: Uses, attaching: Attaching) -> None:
        self._world, self._uses, self._attaching = world, uses, attaching
        self._api = OldApi(world)

    def possible(self) -> Iterator[Op]:
        """Give what could be done now."""
        for volume in self._world.volumes:
            for server in self._world.servers:
                names = {"volume": volume, "server": server}
                use = self._uses.of(volume, server)
                if use is None:
                    for mode in ("rw", "ro"):
                        yield "old_attach", {**names, "mode": mode, "reserve": "yes"}
                        yield "old_attach", {**names, "mode": mode, "reserve": "no"}
                elif self._uses.is_busy(use):
                    continue
                elif use.is_old:
                    yield "old_detach", names
                    if use.state == "granted":
                        yield "old_attach_again", names
                if use is not None and use.state == "granted":
                    for by in ("connector", "initiator", "nothing"):
                        yield "force_detach", {**names, "by": by}

    def old_attach(self, volume: str, server: str, mode: str, reserve: str) -> None:
        """Attach a volume by actions of it, as Ironic does."""
        id_, host = self._world.volumes.get(volume), self._uses.host_of(server)
        if id_ is None or host.is_down or self._uses.of(volume, server):
            return
        use = Use(id_, server, host, "", writes=mode == "rw", wish=mode, is_old=True)
        others = self._world.expected.others_on_host(use)
        if self._world.gives_readers(id_) and any(one.is_old for one in others):
            return  # their disks may differ, and one end may be taken for the other's
        if not self._reserve(id_, reserve == "yes"):
            return
        self._guess(use)
        self._world.expected.uses.append(use)
        with self._uses.working(use):
            self._connect(use)

    def _guess(self, use: Use) -> None:
        """Take note of what else the driver may take a connection for."""
        others = self._world.expected.others_on_host(use)
        use.beside += [one for one in others if one.attachment and not one.is_old]
        use.is_guessed |= any(
            one.is_there and one.state != "granted" and not one.is_old
            for one in self._world.expected.uses
            if one.volume == use.volume
        )
        use.may_be_cut_off |= len(set(use.beside)) > 1
        for one in [one for one in others if one.is_old]:
            # They are alike, and one is ended for the other.
            use.beside += one.beside
            one.beside = use.beside
            one.is_guessed = use.is_guessed = one.is_guessed or use.is_guessed

    def _reserve(self, volume: str, asks: bool) -> bool:
        """Reserve a volume, if its server asks for it; say whether it can be attached.

        One that does not ask is let in all the same, but not beside Cinder itself.
        """
        if not asks:
            row = self._world.database.volumes[volume]
            moves = row["migration_status"] not in NOT_MIGRATING
            return row["status"] in _ATTACHED and not moves
        try:
            self._api.reserve(volume)
        except FAILURES:
            return False
        return True

    def _connect(self, use: Use) -> None:
        boots = self._world.kernel.boots
        try:
            found = self._api.connect(use)
        except FAILURES:
            self.end(use)
            return
        finally:
            self._guess(use)  # others may have begun meanwhile
        if self._attaching.log_in(use, found, boots, use.wish, completes=False):
            with contextlib.suppress(*FAILURES):
                self._api.attach(use)
                return
        self.end(use)

    def _leave(self, use: Use) -> None:
        """Let a connection be that nobody knows of."""
        use.left = self._world.scheduler.now
        self._world.expected.set(use, "ended")
        with contextlib.suppress(*FAILURES):
            self._api.unreserve(use.volume)

    def old_attach_again(self, volume: str, server: str) -> None:
        """Repeat os-initialize_connection, as a reboot of the server does."""
        use = self._uses.of(volume, server)
        if use is None or self._uses.is_busy(use) or use.state != "granted":
            return
        if not use.is_old or self._world.is_limited(use.volume):
            return  # it may be taken for another server's
        with self._uses.working(use):
            boots = self._world.kernel.boots
            use.left = None
            self._guess(use)
            use.is_fenced &= not (use.is_guessed or use.is_late)
            try:
                found = self._api.connect(use)
                if use.session is not None:
                    self._attaching.log_in(use, found, boots, use.wish, completes=False)
            except FAILURES:
                return

    def old_detach(self, volume: str, server: str) -> None:
        """Detach a volume by actions of it."""
        use = self._uses.of(volume, server)
        if use is None or not use.is_old or self._uses.is_busy(use):
            return
        with self._uses.working(use):
            try:
                self._api.begin_detaching(use.volume)
            except FAILURES:
                if use.state == "granted":
                    return
            self.end(use)

    def end(self, use: Use) -> None:
        """Disconnect, and say that the volume is detached."""
        expected = self._world.expected
        expected.set(use, "ending")
        if not use.information and expected.others_on_host(use):
            self._leave(use)  # its end would be taken for that of another
            return
        with self._uses.host_lock(use.host):
            self._world.fabric.log_out(use)
        for number in range(_TRIES):
            try:
                with self._taking_others(use, repeats=number > 0):
                    what = f"terminate {use.server} on {use.host.name}"
                    self._api.terminate(use.volume, what, use.host.connector())
                if use.attachment:
                    self._api.detach(use)
            except FAILURES:
                continue
            self._ended(use, "connector")
            return

    def _taking_others(
        self, use: Use, *, repeats: bool
    ) -> contextlib.AbstractContextManager[object]:
        """Take note that the end of a use may be taken for that of another.

        It is where the driver knows nothing of it, or not any more.
        """
        expected = self._world.expected
        is_lost = use.may_be_cut_off or use.volume in expected.damaged
        if repeats or is_lost or use.is_fenced or not use.information:
            return expected.cut(use.volume, use.host)
        return contextlib.nullcontext()

    def force_detach(self, volume: str, server: str, by: str) -> None:
        """Detach a volume by os-force_detach, without a word to its host."""
        use = self._uses.of(volume, server)
        if use is None or self._uses.is_busy(use) or not use.attachment:
            return
        host = use.host
        connector = {
            "connector": host.connector(),
            "initiator": {"initiator": host.initiator.name},
        }.get(by)
        expected = self._world.expected
        cut_off = host if connector else None
        with self._uses.working(use), expected.cut(use.volume, cut_off):
            expected.set(use, "ending")
            sharing = self._sharing(use)
            try:
                self._api.force_detach(use, connector)
            except FAILURES:
                return
            use.session = None
            self._ended(use, by)
            sharing += self._sharing(use)
            if connector and sharing:
                # Which one of several was meant was not told: a pass ends it.
                use.left = self._world.scheduler.now
            nowhere = any(one.is_old or not one.attachment for one in (use, *sharing))
            use.is_left_in = nowhere and use.left is not None
            for other in sharing:
                # It may be the one that stays.
                other.is_left_in |= use.is_left_in and not other.is_there
            use.lingers = use.writes or use.is_told_to_write or use.is_old

    def _sharing(self, use: Use) -> list[Use]:
        """Give the other uses by which its host may have the volume, too."""
        return [
            one
            for one in self._world.expected.uses
            if (one.volume, one.host) == (use.volume, use.host) and one is not use
            if one.is_there or one.may_reach
        ]

    def _ended(self, use: Use, by: str) -> None:
        """Take note that a use was ended, as far as its caller knows."""
        now, host = self._world.scheduler.now, use.host
        repeats = host.terminated.get((use.volume, by), -REPEATED_WITHIN)
        host.terminated[use.volume, by] = now
        # Each request was answered by a connection, and one of them is ended. And an
        # end that is like another of late may be taken for that one, repeated.
        if use.is_old and (len(use.requests) > 1 or now - repeats <= REPEATED_WITHIN):
            use.left = now
        self._world.expected.set(use, "ended")
        if use.is_old:
            self._world.expected.renew(use)
