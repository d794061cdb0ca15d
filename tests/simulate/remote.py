# SPDX-License-Identifier: Apache-2.0
"""What one cinder-volume asks another one for, over RabbitMQ."""

from typing import Any

from oslo_messaging import MessagingTimeout

from tests.simulate import rpc
from tests.simulate.copies import COPYING


class VolumeApi:
    """See :class:`cinder.volume.rpcapi.VolumeAPI`; what a migration needs of it."""

    def create_volume(
        self, _context: Any, volume: Any, *_request: Any, allow_reschedule: bool
    ) -> None:
        database = COPYING.get().world.database
        self._cast(
            "create",
            volume,
            lambda manager: _create(manager, database.sent(volume)),
        )

    def delete_volume(self, _context: Any, volume: Any) -> None:
        database = COPYING.get().world.database
        self._cast(
            "delete",
            volume,
            lambda manager: manager.delete_volume(
                database.request(), database.sent(volume)
            ),
        )

    def remove_export(self, _context: Any, volume: Any) -> None:
        database = COPYING.get().world.database
        self._cast(
            "remove the export of",
            volume,
            lambda manager: manager.remove_export(database.request(), volume.id),
        )

    def initialize_connection(
        self, _context: Any, volume: Any, connector: dict[str, Any]
    ) -> Any:
        copying, given = COPYING.get(), dict(connector)
        database = copying.world.database

        def connect(manager: Any) -> Any:
            sent = database.request(), database.sent(volume)
            return manager.initialize_connection(*sent, dict(given))

        use = copying.of(volume.id)
        what = f"connect {copying.host.name}"
        return rpc.call(copying.world, what, volume.id, connect, use, copying.requests)

    def terminate_connection(
        self,
        _context: Any,
        volume: Any,
        connector: dict[str, Any],
        force: bool = False,
    ) -> None:
        given, database = dict(connector), COPYING.get().world.database
        self._call(
            "disconnect",
            volume,
            lambda manager: manager.terminate_connection(
                database.request(), volume.id, dict(given), force=force
            ),
        )

    def get_capabilities(self, _context: Any, queue: str, _discover: bool) -> Any:
        copying = COPYING.get()
        if copying.world.scheduler.step(f"rpc: capabilities of {queue}", ("lost",)):
            raise MessagingTimeout(queue)
        return {"sparse_copy_volume": False}

    def update_migrated_volume(
        self, _context: Any, volume: Any, new_volume: Any, status: str
    ) -> None:
        database = COPYING.get().world.database
        self._call(
            "finish",
            new_volume,
            lambda manager: manager.update_migrated_volume(
                database.request(),
                database.sent(volume),
                database.sent(new_volume),
                status,
            ),
        )

    @staticmethod
    def _call(what: str, volume: Any, work: Any) -> Any:
        copying, words = COPYING.get(), f"{what} {volume.id[:8]}"
        asked = copying.requests
        return rpc.call(copying.world, words, volume.id, work, asked=asked)

    @staticmethod
    def _cast(what: str, volume: Any, work: Any) -> None:
        copying, words = COPYING.get(), f"{what} {volume.id[:8]}"
        request = rpc.cast(copying.world, words, volume.id, work)
        copying.casts.extend(filter(None, [request]))


def _create(manager: Any, volume: Any) -> None:
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
