# SPDX-License-Identifier: Apache-2.0
"""cinder-volume that is killed, started, started with other options, and reconciles."""

from collections.abc import Iterator

from oslo_config import cfg

from tests.simulate import rpc
from tests.simulate.decisions import Op
from tests.simulate.world import World


class Services:
    """The operations.

    Args:
        world: where they are done.
    """

    def __init__(self, world: World) -> None:
        self._world = world

    def possible(self) -> Iterator[Op]:
        """Give what could be done now."""
        for name, backend in self._world.backends.items():
            if len(backend.hosts) > 1:
                yield "move_volumes", {"backend": name}
            if backend.is_up:
                yield "reconcile", {"backend": name}
                yield "kill", {"backend": name}
            else:
                yield "start", {"backend": name}
                yield "rename", {"backend": name}
                if self._world.expected.damaged:
                    continue  # nobody could tell where its hosts are
                for prefix in ("iqn.2010-10.org.openstack:", "iqn.2026-11.org.other:"):
                    yield "change_prefix", {"backend": name, "prefix": prefix}

    def rename(self, backend: str) -> None:
        """Give a back end another name, from its next start on; its volumes stay."""
        if not self._world.backends[backend].is_up:
            self._world.backends[backend].rename()

    def move_volumes(self, backend: str) -> None:
        """Give a renamed back end its volumes."""
        self._world.move_volumes(self._world.backends[backend])

    def reconcile(self, backend: str) -> None:
        """Let a pass of a reconcile come to its end."""
        rpc.reconcile(self._world, self._world.backends[backend])

    def kill(self, backend: str) -> None:
        """Kill a service."""
        if self._world.backends[backend].is_up:
            self._world.scheduler.kill(self._world.backends[backend].process)

    def start(self, backend: str) -> None:
        """Start a service."""
        if not self._world.backends[backend].is_up:
            self._world.backends[backend].start()

    def change_prefix(self, backend: str, prefix: str) -> None:
        """Change target_prefix; it counts from the next start on."""
        found = self._world.backends[backend]
        if not (found.is_up or self._world.expected.damaged):
            self._world.has_other_prefix = True
            section = found.driver.configuration.config_group
            cfg.CONF.set_override("target_prefix", prefix, section)
