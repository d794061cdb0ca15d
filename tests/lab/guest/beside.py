# SPDX-License-Identifier: Apache-2.0
"""A detach and an attach of two servers on one host at the same time, as by Nova.

It runs in the process of the back end. What Nova does with a host's session is in
``attach`` and ``detach`` of nova/virt/block_device.py, and in
``_should_disconnect_target`` of nova/virt/libvirt/driver.py.
"""

import threading
from typing import Any

from cinder import objects
from os_brick.initiator import utils

from lab.guest import blocks, host
from lab.guest.volume import Backend, backend
from lab.guest.volume_settings import HOST

#: How long the detach waits for the attach in the worst moment, in seconds.
_WORST = 10.0


def register() -> None:
    """Write down the back end's service, as its start does."""
    service = objects.Service(
        backend().context, host=HOST, binary="cinder-volume", topic="cinder-volume"
    )
    service.create()


def attach(volume_id: str, connector: dict[str, Any]) -> dict[str, Any]:
    """Attach the volume for a server, and connect the host; give what it was told."""
    information = backend().attach(volume_id, dict(connector))
    return {"information": information, "device": host.connect(information)}


def detach_beside_an_attach(
    volume_id: str, connector: dict[str, Any], first: dict[str, Any], locks: bool
) -> str:
    """Detach a server while another is attached; give what the other then reads.

    Args:
        volume_id: the volume.
        connector: the host's.
        first: what :func:`attach` gave for the server that goes.
        locks: whether to lock as Cinder says, or as it said before.
    """
    story = _Story(backend(), volume_id, connector, locks)
    threads = [
        threading.Thread(target=story.detach, args=(first,)),
        threading.Thread(target=story.attach),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return story.read()


class _Story:
    def __init__(
        self, cinder: Backend, volume_id: str, connector: dict[str, Any], locks: bool
    ) -> None:
        self._cinder, self._volume_id = cinder, volume_id
        self._connector = connector
        self._locks = locks
        self._counted, self._connected = threading.Event(), threading.Event()
        self._second: dict[str, Any] = {}

    def _seen_by_nova(self) -> dict[str, Any]:
        volume = self._cinder.volume(self._volume_id)
        shared = volume.shared_targets if self._locks else False
        return {"shared_targets": shared, "service_uuid": volume.service_uuid}

    def detach(self, first: dict[str, Any]) -> None:
        with utils.guard_connection(self._seen_by_nova()):
            attached = [
                row
                for row in self._cinder.rows(self._volume_id)
                if row["status"] == "attached"
            ]
            self._counted.set()
            self._connected.wait(_WORST)
            if len(attached) == 1:
                host.disconnect(first["information"], first["device"])
            self._cinder.detach(first["information"]["attachment_id"])

    def attach(self) -> None:
        self._counted.wait()
        with utils.guard_connection(self._seen_by_nova()):
            self._second = attach(self._volume_id, self._connector)
            self._connected.set()

    def read(self) -> str:
        try:
            return blocks.read(self._second["device"]["path"], 5)
        except OSError as error:
            return f"lost: {error}"


def end(volume_id: str) -> None:
    """Delete what is attached still, without the host's part."""
    for row in backend().rows(volume_id):
        backend().detach(row["id"])
