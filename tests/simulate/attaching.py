# SPDX-License-Identifier: Apache-2.0
"""Attach and detach, and what users and Nova do beside that."""

from collections.abc import Iterator, Mapping
from typing import Any

from cinder import exception

from tests.contract.memory import LoginRefusedError
from tests.simulate import rules
from tests.simulate.api import FAILURES, Api
from tests.simulate.decisions import Op
from tests.simulate.model import Host, Use
from tests.simulate.uses import Uses
from tests.simulate.world import World

#: How often a detach is tried before its caller gives up.
_TRIES = 2


class Attaching:
    """The operations.

    Args:
        world: where they are done.
        uses: of its volumes.
    """

    def __init__(self, world: World, uses: Uses) -> None:
        self._world, self._uses = world, uses
        self._api = Api(world)
        #: The volumes and servers for which attachments are being made.
        self._asking: set[tuple[str, str]] = set()

    def possible(self) -> Iterator[Op]:
        """Give what could be done now."""
        for volume in self._world.volumes:
            for server in self._world.servers:
                yield from self._possible(volume, server)

    def _possible(self, volume: str, server: str) -> Iterator[Op]:
        names = {"volume": volume, "server": server}
        use = self._uses.of(volume, server)
        if use is None:
            for mode in ("rw", "ro"):
                yield "attach", {**names, "mode": mode}
                yield "attach_in_one", {**names, "mode": mode}
        elif use.state == "reserved" and self._uses.is_busy(use):
            yield "cancel", names
        elif not (use.is_old or self._uses.is_busy(use)):
            yield "detach", names
            if use.state == "granted":
                yield "attach_again", names

    def attach(self, volume: str, server: str, mode: str) -> None:
        """Attach a volume, as Nova does."""
        if volume not in self._world.volumes or self._uses.of(volume, server):
            return
        host = self._uses.host_of(server)
        if host.is_down:
            return
        use = self.reserve(volume, server, host, mode)
        if use is not None:
            with self._uses.working(use):
                if not self.connect(use):
                    self.end(use)

    def attach_in_one(self, volume: str, server: str, mode: str) -> None:
        """Attach by one POST /attachments, whose mode is written last."""
        if volume not in self._world.volumes or self._uses.of(volume, server):
            return
        host = self._uses.host_of(server)
        if host.is_down:
            return
        use = self._make(volume, server, host, mode)
        if use is None:
            return
        with self._uses.working(use):
            try:
                boots = self._world.kernel.boots
                use.mode_is_late = True
                information = self._api.update(use, late=mode)
            except FAILURES:
                self.end(use)
                return
            # A lifted flag makes ``ro`` of it.
            written = self._world.database.attachments[use.attachment]["attach_mode"]
            if not self.log_in(use, information, boots, written):
                self.end(use)

    def attach_again(self, volume: str, server: str) -> None:
        """Repeat the request that gave an attachment its connector."""
        use = self._uses.of(volume, server)
        if use is None or self._uses.is_busy(use) or use.state != "granted":
            return
        row = self._world.database.attachments.get(use.attachment)
        if row is None or use.is_old:
            return
        if use.is_told_to_write and row["attach_mode"] == "ro":
            return  # because of a lifted flag: it would be asked to read only
        with self._uses.working(use):
            boots, use.asks = self._world.kernel.boots, use.wish == "rw"
            wrote, use.is_repeated, use.is_asking = use.writes, True, True
            try:
                information = self._api.update(use)
                # Also if its host is down, and connects by that when it is back.
                use.is_told_to_write |= information["access_mode"] == "rw"
                if use.session is not None and not self._is_another_disk(
                    use, information
                ):
                    self.log_in(use, information, boots, use.wish)
                    use.is_told_to_write |= wrote
            except FAILURES:
                # The answer may be lost, and not what it was about.
                use.is_told_to_write |= use.asks
            finally:
                use.is_asking = False

    @staticmethod
    def _is_another_disk(use: Use, information: Mapping[str, Any]) -> bool:
        """Say whether a server is told to read only, and goes on with what it has.

        A target that cannot show the readers' disk tells the main one, for reading.
        """
        reads = information["access_mode"] != "rw"
        return reads and (use.writes or int(information["target_lun"]) != use.lun)

    def cancel(self, volume: str, server: str) -> None:
        """Delete an attachment that is about to get its connector."""
        use = self._uses.of(volume, server)
        if use is None or use.state != "reserved":
            return
        try:
            self._api.delete(use)
        except FAILURES:
            return

    def detach(self, volume: str, server: str) -> None:
        """Detach a volume."""
        use = self._uses.of(volume, server)
        if use is not None and not (use.is_old or self._uses.is_busy(use)):
            with self._uses.working(use):
                self.end(use)

    def reserve(self, volume: str, server: str, host: Host, mode: str) -> Use | None:
        """Make an attachment without a connector; None if it was refused.

        Nobody else works on it, until who asked for it does.
        """
        use = self._make(volume, server, host, mode)
        if use is None:
            return None
        with self._uses.working(use):
            try:
                self._api.set_mode(use.attachment, mode)
            except FAILURES:
                self.end(use)
                return None
        return use

    def _make(self, volume: str, server: str, host: Host, mode: str) -> Use | None:
        """Make an attachment; None if it was refused, or one is being made.

        Nova attaches a volume to a server once at a time.
        """
        id_ = self._world.volumes[volume]
        if (id_, server) in self._asking:
            return None
        self._asking.add((id_, server))
        try:
            made = self._api.reserve(id_, server)
        except FAILURES:
            return None
        finally:
            self._asking.discard((id_, server))
        use = Use(id_, server, host, made, writes=mode == "rw", wish=mode)
        self._world.expected.uses.append(use)
        return use

    def connect(self, use: Use) -> bool:
        """Give an attachment its connector, and connect; say whether it was done."""
        boots = self._world.kernel.boots
        mode = "rw" if use.writes else "ro"
        if use.host.is_down:
            return False
        try:
            since = self._world.scheduler.now
            information = self._api.update(use)
        except FAILURES:
            return False
        rules.check(self._world, use, information, since)
        return self.log_in(use, information, boots, mode)

    def log_in(
        self,
        use: Use,
        information: dict[str, str],
        boots: int,
        mode: str,
        *,
        completes: bool = True,
    ) -> bool:
        """Let a host connect by what it was told; say whether it was let in.

        Args:
            use: that it is for.
            information: what it was told.
            boots: how often the storage node had booted when it asked.
            mode: that was asked for.
            completes: whether there is an attachment to be marked.
        """
        use.writes = mode == information["access_mode"] == "rw"
        use.is_told_to_write = information["access_mode"] == "rw"
        use.information = information
        use.granted = self._world.scheduler.now
        with self._uses.host_lock(use.host):
            if use.host.is_down:
                return False
            self._world.expected.set(use, "granted")
            try:
                self._world.fabric.log_in(use, information)
            except LoginRefusedError:
                self._world.expected.cannot_log_in(use, boots)
                return False
        if completes or use.is_old:
            self._world.write(use)
        if completes:
            try:
                self._api.complete(use)
            except FAILURES:
                return False
        return True

    def end(self, use: Use) -> None:
        """Disconnect, and delete the attachment."""
        self._world.expected.set(use, "ending")
        with self._uses.host_lock(use.host):
            self._world.fabric.log_out(use)
        for _ in range(_TRIES):
            try:
                self._api.delete(use)
            except (exception.VolumeAttachmentNotFound, exception.VolumeNotFound):
                # It was cancelled before, and cinder-volume has not heard of that.
                use.left = self._world.scheduler.now
            except FAILURES:
                continue
            self._world.expected.set(use, "ended")
            return
