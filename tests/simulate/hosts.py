# SPDX-License-Identifier: Apache-2.0
"""Hosts that go down, come back, and try to log in again."""

from collections.abc import Iterator

from tests.contract.memory import LoginRefusedError
from tests.simulate.decisions import Op
from tests.simulate.uses import Uses
from tests.simulate.world import World


class Hosts:
    """The operations.

    Args:
        world: where they are done.
        uses: of its volumes.
    """

    def __init__(self, world: World, uses: Uses) -> None:
        self._world, self._uses = world, uses

    def possible(self) -> Iterator[Op]:
        """Give what could be done now."""
        yield "log_in_again", {}
        for seconds in ("1", "70", "400"):
            yield "wait", {"seconds": seconds}
        for name, host in self._world.hosts.items():
            if host.is_down:
                yield "boot_host", {"host": name}
            elif host.sessions:
                yield "crash_host", {"host": name}

    def wait(self, seconds: str) -> None:
        """Let time pass."""
        self._world.scheduler.sleep(float(seconds))

    def log_in_again(self) -> None:
        """Let all hosts try whose sessions have ended, as open-iscsi does for ever."""
        self._world.fabric.log_in_again()

    def crash_host(self, host: str) -> None:
        """Let a host lose its power; the target notices that it is gone."""
        found = self._world.hosts[host]
        found.is_down = True
        for session, _ in found.sessions.values():
            if session.alive:
                session.logout()
        found.sessions.clear()
        for use in self._world.expected.uses:
            if use.host is found:
                use.session = None
                use.may_be_cut_off |= use.is_unknown or use.is_guessed
        self._world.expected.touch()

    def boot_host(self, host: str) -> None:
        """Let it come back: its servers connect again, by what Cinder has for them."""
        found = self._world.hosts[host]
        found.is_down = False
        for use in self._uses.idle():
            if use.host is not found or use.state != "granted" or use.session:
                continue
            try:
                self._world.fabric.log_in(use, use.information)
            except LoginRefusedError:
                self._world.expected.cannot_log_in(use, use.boots)
