# SPDX-License-Identifier: Apache-2.0
"""A cluster whose services have their locks elsewhere than in files."""

import contextlib
from collections.abc import Iterator

from lab.cluster import Cluster


@contextlib.contextmanager
def by(cluster: Cluster, url: str, *daemons: str) -> Iterator[None]:
    """Let cinder-volume have its locks there in the block.

    Args:
        cluster: where.
        url: ``backend_url`` of ``[coordination]``.
        daemons: the services of the control plane that have theirs there, too.
    """
    usual = cluster.control.settings()["coordination"]["backend_url"]
    _coordinate(cluster, url, daemons)
    yield
    _coordinate(cluster, usual, daemons)


def _coordinate(cluster: Cluster, url: str, daemons: tuple[str, ...]) -> None:
    settings = cluster.control.settings()
    settings["coordination"]["backend_url"] = url
    cluster.control.configure(settings)
    cluster.end_volume_service()
    cluster.wait_for_volume_services(0)
    cluster.control.restart(*daemons)
    cluster.start_volume_service()
    cluster.wait_for_volume_services(1)
