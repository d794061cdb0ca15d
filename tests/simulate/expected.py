# SPDX-License-Identifier: Apache-2.0
"""Who should reach a volume, as far as those can tell who asked for it."""

import contextlib
from collections.abc import Callable, Iterator, Mapping

from tests.simulate.broken import BrokenError
from tests.simulate.disk import Disk
from tests.simulate.kernels import SimulatedKernel
from tests.simulate.model import Host, Use
from tests.simulate.schedule import Scheduler

#: After what time a pass of the reconcile ends what was answered and never heard of, in
#: seconds: taikun_login_patience and a little.
FORGOTTEN = 310.0


class Expected:
    """What should be.

    Args:
        scheduler: has the turns.
        kernel: of the storage node.
        disk: of the storage node.
        nameless: gives of how many hosts a volume's attachments may be that name none.

    Attributes:
        uses: all that there were, but those that are over for good.
        serials: by the name of a logical volume, that of its disk.
        edited: volumes whose exports were edited by hand and not put right yet, each
            with the number of the last edit.
        damaged: volumes that have lost their record once.
        cutting: from what volume which host is being cut off now; None for all.
        changes: counts what may have changed who may reach a volume.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        kernel: SimulatedKernel,
        disk: Disk,
        nameless: Callable[[str], float],
    ) -> None:
        self._scheduler, self._kernel, self._disk = scheduler, kernel, disk
        self._nameless = nameless
        self.uses: list[Use] = []
        self.serials: dict[str, str] = {}
        self.edited: dict[str, int] = {}
        self._edits = 0
        self.damaged: set[str] = set()
        self.cutting: list[tuple[str, Host | None]] = []
        self.changes = 0

    def touch(self) -> None:
        """Take note that who may reach a volume may have changed."""
        self.changes += 1

    def set(self, use: Use, state: str) -> None:
        """Let a use be in another state."""
        if state == "ending":
            use.since = self._disk.failed
        unsure = use.since != self._disk.failed or use.volume in self.damaged
        if state == "ended" and unsure:
            # By what is on the disk it may be there still.
            use.left = self._scheduler.now
        use.state = state
        if state in ("ending", "ended"):
            for other in self.others_on_host(use):
                # As the page Limitations says, it may be taken for over, too.
                other.may_be_cut_off |= use in other.beside or other.is_guessed
                # And a long copy may lose its disk with the server beside it.
                other.may_be_cut_off |= other.server == "cinder" and use is not other
        own = [one for one in self.uses if one.volume == use.volume]
        left = any(one.is_old and not one.is_there for one in own)
        for other in own:
            if other is not use and other.is_guessed:
                shares = any(not one.is_old for one in self.others_on_host(other))
                other.may_be_cut_off |= not other.attachment or left or shares
        self.touch()

    def is_odd(self, volume: str) -> bool:
        """Say whether a volume's record or export was touched by hand."""
        return volume in self.edited or volume in self.damaged

    def edit(self, volume: str) -> None:
        """Take note that a volume's export was edited by hand."""
        self._edits += 1
        for use in self.uses:
            unsure = use.is_unknown or use.is_guessed or use.missing_since is not None
            if use.volume == volume and unsure:
                use.may_be_cut_off = True  # nothing says that it is to be put right
        self.edited[volume] = self._edits
        self.touch()

    def damage(self, volume: str) -> None:
        """Take note that a volume's record was damaged.

        Of what has no attachment, only the kernel knows then. So an end of it by
        Cinder's old API may be taken for that of the attachment beside it. A row shows
        the disk that a repeated request was told last.
        """
        self.damaged.add(volume)
        for use in self.uses:
            named = use.attachment and not use.is_old
            nowhere = not named or use.missing_since is not None
            beside_old = any(one.is_old for one in self.others_on_host(use))
            if use.volume == volume and use.missing_since is not None:
                use.is_told_to_write = True  # its host is taken to have what it has
            if use.volume == volume and (nowhere or beside_old or use.is_repeated):
                use.may_be_cut_off = True

    def put_right(self, before: Mapping[str, int]) -> bool:
        """Take note that what was edited before a pass is right; say if anything is."""
        right = [one for one, edit in before.items() if self.edited.get(one) == edit]
        for volume in right:
            del self.edited[volume]
        return bool(right)

    def begin_use(self, use: Use) -> None:
        """Take note that somebody asks to let a use's host in."""
        if use.state != "granted":
            self.set(use, "asked")
        for other in self.others_on_host(use):
            other.may_be_cut_off |= other.is_unknown or other.is_guessed
        for other in self.uses:
            if use.is_old and other is not use and other.volume == use.volume:
                other.may_be_cut_off |= other.is_guessed

    @contextlib.contextmanager
    def cut(self, volume: str, host: Host | None) -> Iterator[None]:
        """Take note that a host, or all of a volume, may be cut off in the block."""
        self.cutting.append((volume, host))
        try:
            yield
        finally:
            for use in self.uses:
                if use.volume == volume and host in (None, use.host):
                    use.may_be_cut_off = True
            self.cutting.remove((volume, host))

    def must_reach(self, use: Use) -> bool:
        """Say whether a use's server must have its disk now."""
        return (
            use.state == "granted"
            and use.session is not None
            and use.boots == self._kernel.boots
            and use.volume not in self.edited
            and not self._is_cut_off(use)
        )

    def _is_cut_off(self, use: Use) -> bool:
        return use.may_be_cut_off or any(
            use.volume == volume and host in (None, use.host)
            for volume, host in self.cutting
        )

    def others_on_host(self, use: Use) -> list[Use]:
        """Give the other uses of a volume on a use's host that are not over."""
        place = use.volume, use.host
        there = (one for one in self.uses if (one.volume, one.host) == place)
        return [one for one in there if one is not use and one.is_there]

    def renew(self, use: Use) -> None:
        """Take note that others like it, which nobody ended, begin to expire now.

        One that is ended is taken for the oldest of those that are alike.
        """
        for other in self.uses:
            if other.left and (other.volume, other.host) == (use.volume, use.host):
                other.left = self._scheduler.now

    def is_over(self, use: Use) -> bool:
        """Say whether no request for it may have an effect in a pass from now on."""
        since = self._scheduler.now - FORGOTTEN
        for request in use.requests:
            if request.process and request.process.dead:
                request.ended = min(request.ended, self._scheduler.now)
        if self._is_renewed(use):
            self._renew(use)
        if use.left is not None and use.left > since:
            return False
        if use.may_be_forgotten and self._stays(use):
            return False
        return use.state == "ended" and not any(
            one.is_pending or (one.process and one.ended > since)
            for one in use.requests
        )

    def _renew(self, use: Use) -> None:
        if use.left is not None:
            use.left = self._scheduler.now
        if any(one.is_old for one in self.others_on_host(use)):
            # No attachment says by what its host is logged in.
            for request in [one for one in use.requests if one.is_lost]:
                request.ended = self._scheduler.now

    def _stays(self, use: Use) -> bool:
        """Say whether what was answered for it is taken for another's.

        The page Limitations has these cases: a server waits for its host, and the host
        has not logged out; or there is an attachment of the old API, and it cannot be
        told whose it is.
        """
        others = [one for one in self.uses if one.volume == use.volume]
        waits = any(one.state == "reserved" for one in others)
        # It has not logged out, and goes on trying.
        stays = any(use.volume in target for target in use.host.sessions)
        unsure = waits or use.is_left_in
        return (unsure and stays) or self._is_kept(use.volume)

    def _is_kept(self, volume: str) -> bool:
        """Say whether an attachment without a host may be that of any."""
        others = [one for one in self.uses if one.volume == volume and one.is_there]
        named = {one.host.name for one in others if not one.is_old}
        logged_in = {
            one.host.name
            for one in others
            if one.is_old and not one.is_unknown
            if one.session is not None and one.session.alive
        }
        return self._nameless(volume) > len(logged_in - named)

    def _is_renewed(self, use: Use) -> bool:
        """Say whether a session of its host may be taken for its own."""
        return any(
            one.is_there and (one.volume, one.host) == (use.volume, use.host)
            for one in self.uses
        )

    def cannot_log_in(self, use: Use, boots: int) -> None:
        """Take note that a host was not let in that was told how.

        Raises:
            BrokenError: there is no excuse for it.
        """
        excused = self.is_odd(use.volume) or self._is_cut_off(use)
        if boots == self._kernel.boots and not excused:
            raise BrokenError(
                f"law 1: {use.host.name} was told how to log in, and is refused"
            )
