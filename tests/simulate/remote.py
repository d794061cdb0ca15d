# SPDX-License-Identifier: Apache-2.0
"""What one cinder-volume asks another one for, over RabbitMQ."""

from typing import Any

from oslo_messaging import MessagingTimeout

from tests.simulate import rpc
from tests.simulate.api import CONTEXT
from tests.simulate.copies import COPYING
from tests.simulate.rows import Volume


class VolumeApi:
    """See :class:`cinder.volume.rpcapi.VolumeAPI`; what a migration needs of it."""

    def create_volume(
        self, _context: Any, volume: Volume, *_request: Any, allow_reschedule: bool
    ) -> None:
        self._cast("create", volume, lambda manager: _create(manager, volume.copy()))

    def delete_volume(self, _context: Any, volume: Volume) -> None:
        self._cast(
            "delete",
            volume,
            lambda manager: manager.delete_volume(CONTEXT, volume.copy()),
        )

    def remove_export(self, _context: Any, volume: Volume) -> None:
        self._cast(
            "remove the export of",
            volume,
            lambda manager: manager.remove_export(CONTEXT, volume.id),
        )

    def initialize_connection(
        self, _context: Any, volume: Volume, connector: dict[str, Any]
    ) -> Any:
        copying, given = COPYING.get(), dict(connector)

        def connect(manager: Any) -> Any:
            return manager.initialize_connection(CONTEXT, volume.copy(), dict(given))

        use = copying.of(volume.id)
        what = f"connect {copying.host.name}"
        return rpc.call(copying.world, what, volume.id, connect, use, copying.requests)

    def terminate_connection(
        self,
        _context: Any,
        volume: Volume,
        connector: dict[str, Any],
        force: bool = False,
    ) -> None:
        given = dict(connector)
        self._call(
            "disconnect",
            volume,
            lambda manager: manager.terminate_connection(
                CONTEXT, volume.id, dict(given), force=force
            ),
        )

    def get_capabilities(self, _context: Any, queue: str, _discover: bool) -> Any:
        copying = COPYING.get()
        if copying.world.scheduler.step(f"rpc: capabilities of {queue}", ("lost",)):
            raise MessagingTimeout(queue)
        return {"sparse_copy_volume": False}

    def update_migrated_volume(
        self, _context: Any, volume: Volume, new_volume: Volume, status: str
    ) -> None:
        self._call(
            "finish",
            new_volume,
            lambda manager: manager.update_migrated_volume(
                CONTEXT, volume.copy(), new_volume.copy(), status
            ),
        )

    @staticmethod
    def _call(what: str, volume: Volume, work: Any) -> Any:
        copying, words = COPYING.get(), f"{what} {volume.id[:8]}"
        asked = copying.requests
        return rpc.call(copying.world, words, volume.id, work, asked=asked)

    @staticmethod
    def _cast(what: str, volume: Volume, work: Any) -> None:
        copying, words = COPYING.get(), f"{what} {volume.id[:8]}"
        request = rpc.cast(copying.world, words, volume.id, work)
        copying.casts.extend(filter(None, [request]))


def _create(manager: Any, volume: Volume) -> None:
    """Do what the flow of manager.create_volume does for an empty volume."""
    try:
        manager.driver.create_volume(volume)
    except Exception:
        volume.update({"status": "error"})
        volume.save()
        raise
    volume.update({"status": "available"})
    volume.save()
    volume.update({"shared_targets": True, "service_uuid": manager.host})
    volume.save()
