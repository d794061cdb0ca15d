# SPDX-License-Identifier: Apache-2.0
"""Starts servers as an ordinary member of a project does, and deletes them."""

import contextlib
from collections.abc import Iterator
from typing import Any

from lab.errors import LabError
from lab.nova.cluster import BOOT_TYPE, FLAVOR, IMAGE, NovaCluster
from lab.nova.servers import USER, Server, until


def image_id(cluster: NovaCluster) -> str:
    """Give the id of the image that all servers are of."""
    return str(cluster.cloud(USER).image.find_image(IMAGE).id)


class Start:
    """Starts servers; get one from :func:`servers`."""

    def __init__(self, cluster: NovaCluster) -> None:
        self._cluster = cluster
        self._compute = cluster.cloud(USER).compute
        self.started: list[Server] = []

    def __call__(
        self,
        *,
        away_from: Server | None = None,
        beside: Server | None = None,
        volume: str | None = None,
    ) -> Server:
        """Ask for a server; give it when its host is chosen.

        Args:
            away_from: not on the host of this one.
            beside: on the host of this one.
            volume: what it boots from; by default a new one, which goes with it.
        """
        hints = {}
        if away_from is not None:
            hints["different_host"] = away_from.id
        if beside is not None:
            hints["same_host"] = beside.id
        flavor = self._compute.find_flavor(FLAVOR)
        made = self._compute.create_server(
            name="story",
            flavor_id=flavor.id,
            networks="none",
            scheduler_hints=hints,
            block_device_mapping=[
                {
                    "destination_type": "volume",
                    "boot_index": 0,
                    "delete_on_termination": volume is None,
                    **(
                        {"source_type": "volume", "uuid": volume}
                        if volume
                        else self._new()
                    ),
                }
            ],
        )
        server = Server(self._cluster, made.id)
        self.started.append(server)
        until(lambda: self._has_host(server), f"{server} has a host", 300)
        return server

    def _new(self) -> dict[str, Any]:
        return {
            "source_type": "image",
            "uuid": image_id(self._cluster),
            "volume_size": 1,
            "volume_type": BOOT_TYPE,
        }

    @staticmethod
    def _has_host(server: Server) -> bool:
        """Say whether a hint about it is heeded from now on.

        Nova shows a host before its scheduler counts the server there.
        """
        seen = server.seen_by("admin")
        if seen.status == "ERROR":
            raise LabError(f"{server} is in an error: {seen.fault}")
        return bool(seen.compute_host and seen.task_state != "scheduling")

    def wait(self) -> None:
        """Wait until all have booted."""
        for server in self.started:
            server.wait_until_up()


@contextlib.contextmanager
def servers(cluster: NovaCluster) -> Iterator[Start]:
    """Give what starts servers, and delete them behind the block."""
    start = Start(cluster)
    try:
        yield start
    finally:
        with contextlib.ExitStack() as stack:
            for server in start.started:
                stack.callback(server.delete)
