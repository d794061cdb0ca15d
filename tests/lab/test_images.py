# SPDX-License-Identifier: Apache-2.0
"""Images of a volume that hosts write to."""

import time
from collections.abc import Iterator

import pytest

from lab import attachments
from lab.cluster import Cluster
from lab.demo import USER
from lab.guest.blocks import BLOCK
from tests.lab import shared
from tests.lab.shared import writing

pytestmark = pytest.mark.in_turn(7, of="what a cluster bears")

#: A gigabyte goes from a node to the image service.
LONG = 400


@pytest.fixture
def _image_service(cluster: Cluster) -> Iterator[None]:
    cluster.control.start_image_service()
    yield
    cluster.control.end_image_service()


def _await_image(cluster: Cluster, image: str) -> None:
    """Wait until an image can be used; Cinder deletes one that it cannot fill."""
    images = cluster.clients.image(USER).images
    deadline = time.monotonic() + LONG
    while (status := images.get(image).status) != "active":
        assert time.monotonic() < deadline, f"image {image} is {status}"
        time.sleep(0.5)


def _blocks(cluster: Cluster, image: str, number: int) -> list[str]:
    """Read the text of the first blocks of an image of 1 GiB."""
    pieces = iter(cluster.clients.image(USER).images.data(image))
    begin = b""
    while len(begin) < number * BLOCK:
        begin += next(pieces)
    assert len(begin) + sum(map(len, pieces)) == 2**30
    blocks = (begin[at * BLOCK :][:BLOCK] for at in range(number))
    return [block.rstrip(b"\0").decode() for block in blocks]


@pytest.mark.usefixtures("_image_service")
def test_an_image_is_made_of_a_volume_that_two_hosts_use(cluster: Cluster) -> None:
    cinder = cluster.clients.volume(USER)
    with shared.volume(cluster) as volume:
        hosts = [volume.attach("compute1"), volume.attach("compute2")]
        hosts[0].write(1, "by the first")
        hosts[1].write(2, "by the second")
        with writing(hosts[0], 3) as seen:
            _answer, body = cinder.volumes.upload_to_image(
                volume.id,
                True,
                "of a shared volume",
                "bare",
                "raw",
                visibility="private",
                protected=False,
            )
            image = body["os-volume_upload_image"]["image_id"]
            _await_image(cluster, image)
            attachments.wait_for_status(cinder, volume.id, "in-use")
        assert seen["errors"] == []
        assert _blocks(cluster, image, 3)[1:] == ["by the first", "by the second"]
        for host in hosts:
            volume.detach(host)
        cluster.clients.image(USER).images.delete(image)
