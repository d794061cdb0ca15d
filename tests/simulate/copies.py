# SPDX-License-Identifier: Apache-2.0
"""What cinder-volume does on its node when it copies a volume to another one.

It connects both of them, to the host that it is on, by Cinder's real code, and copies
from the one device to the other. What it would run there for that is imitated.
"""

import contextvars
from collections.abc import Callable
from typing import Any, Self

from cinder import exception
from oslo_concurrency import processutils

from tests.simulate.attaching import Attaching
from tests.simulate.backends import Request, SimVolumeGroup
from tests.simulate.model import Host, Use
from tests.simulate.uses import Uses
from tests.simulate.world import World

#: In how many parts data are copied, and how long each takes, in seconds.
_PARTS, _LONG = 3, 2.0

#: The copying that an actor works for.
COPYING = contextvars.ContextVar["Copying"]("COPYING")


class Copying:
    """One migration, as far as it copies.

    Args:
        world: where.
        uses: of its volumes.
        attaching: logs hosts in.
        host: that cinder-volume is on.

    Attributes:
        requests: those to other back ends whose answers were waited for.
        casts: the others.
    """

    def __init__(
        self, world: World, uses: Uses, attaching: Attaching, host: Host
    ) -> None:
        self.world = world
        self._uses, self._attaching, self.host = uses, attaching, host
        self.requests: list[Request] = []
        self.casts: list[Request] = []
        #: By volume, its connection to the host.
        self._connections: dict[str, Use] = {}

    def serve(self) -> Self:
        """Let the actor that calls this work for it."""
        COPYING.set(self)
        return self

    def of(self, volume: str) -> Use | None:
        """Give the connection of a volume; None if there is none."""
        return self._connections.get(volume)

    def attach(self, real: Callable[..., Any], volume: Any, **more: Any) -> Any:
        """Connect a volume, by what is Cinder's own for that."""
        use = Use(volume.id, "cinder", self.host, "", writes=True, wish="rw")
        self._connections[volume.id] = use
        self._uses.keep(use)
        self.world.expected.uses.append(use)
        self.world.begin_use(use)
        self._guess(use)
        try:
            return real(volume, **more)
        except Exception:
            if use.is_there:
                self._ended(use, sure=False)
            raise

    def connect(self, connection: dict[str, Any]) -> dict[str, Any]:
        """Log in, as os-brick does.

        Raises:
            DeviceUnavailable: the host is not let in.
        """
        data = connection["data"]
        name = data["target_iqn"].rpartition(":")[2]
        use = next(
            one
            for one in self._connections.values()
            if one.is_there and name in self.world.names_of(one)
        )
        self._guess(use)  # others may have begun meanwhile
        told = {**data, "access_mode": connection["access_mode"]}
        boots = self.world.kernel.boots
        if not self._attaching.log_in(use, told, boots, "rw", completes=False):
            raise exception.DeviceUnavailable(path=name, reason="it is refused")
        path = self.world.kernel.device(data["target_iqn"])
        return {"conn": connection, "device": {"path": path}, "connector": self}

    def _guess(self, use: Use) -> None:
        """Take note that a connection may be taken for that of a server.

        As the page Limitations says, that is so where one waits for its host.
        """
        use.is_guessed |= any(
            one.attachment and one.is_there and one.state != "granted"
            for one in self.world.expected.uses
            if one.volume == use.volume
        )

    def disconnect_volume(
        self, data: dict[str, Any], _device: dict[str, Any], **_force: bool
    ) -> None:
        """Log out, as os-brick does."""
        for use in self._connections.values():
            if use.information.get("target_iqn") == data["target_iqn"]:
                self._log_out(use)

    def _log_out(self, use: Use) -> None:
        if use.state == "granted":
            self.world.expected.set(use, "ending")
        with self._uses.host_lock(use.host):
            self.world.fabric.log_out(use)

    def detach(self, real: Callable[..., Any], volume: Any, **more: Any) -> None:
        """Disconnect a volume, by what is Cinder's own for that."""
        use = self._connections[volume.id]
        self.world.expected.set(use, "ending")
        try:
            real(volume, **more)
        except Exception:
            # It cannot be told what of that was done.
            self._log_out(use)
            self._ended(use, sure=False)
            raise
        self._ended(use, sure=True)

    def end(self) -> None:
        """Log out what is left, as an operator does, when nobody copies any more."""
        for use in self._connections.values():
            if use.is_there:
                self._log_out(use)
                self._ended(use, sure=False)
            self._uses.give_back(use)

    def _ended(self, use: Use, *, sure: bool) -> None:
        if not sure:
            use.left = self.world.scheduler.now
        self.world.expected.set(use, "ended")
        self.world.expected.renew(use)

    def copy(self, source: str, destination: str) -> None:
        """Copy from one device to another, as dd does.

        Raises:
            ProcessExecutionError: it cannot read or write.
        """
        group, name = self.world.volume_at(destination)
        content, group.contents[name] = self.world.content(source), None
        for _ in range(_PARTS):
            failed = self.world.scheduler.step("copies a part", ("EIO",))
            self.world.scheduler.sleep(_LONG)
            uses = [one for one in self._connections.values() if one.is_there]
            can = [one.session and self._can(one) for one in uses]
            if failed or not all(can):
                raise processutils.ProcessExecutionError(cmd="dd")
        group.contents[name] = content

    def _can(self, use: Use) -> bool:
        return self.world.kernel.can(use.session, write=True)


def watch(manager: Any) -> None:
    """Let a manager's connections of its own be known, and be made on no real node."""
    attach, detach = manager._attach_volume, manager._detach_volume

    def attach_volume(context: Any, volume: Any, connector: Any, **more: Any) -> Any:
        def real(volume: Any, **more: Any) -> Any:
            return attach(context, volume, connector, **more)

        return COPYING.get().attach(real, volume, **more)

    def detach_volume(
        context: Any, found: Any, volume: Any, connector: Any, **more: Any
    ) -> None:
        def real(volume: Any, **more: Any) -> None:
            detach(context, found, volume, connector, **more)

        COPYING.get().detach(real, volume, **more)

    manager._attach_volume, manager._detach_volume = attach_volume, detach_volume
    manager._connect_device = lambda found: COPYING.get().connect(found)


def group(name: str, *_more: Any, **_options: Any) -> SimVolumeGroup:
    """Give a volume group, as Cinder's LVM for it."""
    groups = (one.group for one in COPYING.get().world.backends.values())
    return next(one for one in groups if one.vg_name == name)


def _copy(source: str, destination: str, *_how: Any, **_options: Any) -> None:
    COPYING.get().copy(source, destination)


def _connector(*_multipath: bool) -> dict[str, Any]:
    return COPYING.get().host.connector(own=True)


def _groups() -> list[dict[str, str]]:
    backends = COPYING.get().world.backends.values()
    return [{"name": one.group.vg_name} for one in backends]


#: By their names in ``cinder.volume.volume_utils``.
ANSWERS: dict[str, Callable[..., Any]] = {
    "copy_volume": _copy,
    "brick_get_connector_properties": _connector,
    "get_all_volume_groups": _groups,
}
