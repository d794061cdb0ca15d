# SPDX-License-Identifier: Apache-2.0
"""A server boots from a multi-attach volume; the policies say who may share that."""

import contextlib
from collections.abc import Iterator

from openstack import exceptions

from lab import attachments
from lab.nova.cluster import NovaCluster
from lab.nova.servers import USER, Server
from lab.nova.start import image_id, servers
from lab.workdir import PROJECT
from tests.lab import shared

#: Behind the image, which has 24 MiB.
BLOCK = 10_000


@contextlib.contextmanager
def _bootable(cluster: NovaCluster) -> Iterator[str]:
    """Make a multi-attach volume of the image, and delete it behind the block."""
    cinder = cluster.clients.volume(USER)
    with shared.volume_type(cluster) as name:
        made = cinder.volumes.create(1, volume_type=name, imageRef=image_id(cluster))
        found = attachments.wait_for_status(cinder, made.id, "available", 300)
        assert (found.bootable, found.multiattach) == ("true", True)
        yield str(made.id)
        attachments.wait_for_status(cinder, made.id, "available")
        cinder.volumes.delete(made.id)
        attachments.wait_until_deleted(cinder, made.id)


@contextlib.contextmanager
def _profile(cluster: NovaCluster, name: str) -> Iterator[None]:
    """Let cinder-api go by one of the profiles in etc/policy.d, as an operator does."""
    profile = PROJECT / f"etc/policy.d/multiattach-{name}.yaml"
    used = cluster.work.path / "etc/cinder/policy.d" / profile.name
    used.write_text(profile.read_text())
    try:
        yield
    finally:
        used.unlink()


def _shares(server: Server, booted: Server, volume: str) -> bool:
    """Attach the boot disk of one server to another; say whether that was allowed."""
    try:
        server.attach(volume)
    except exceptions.ForbiddenException:
        return False
    assert server.write(volume, BLOCK, "from the other server") == ""
    assert booted.read(volume, BLOCK) == "from the other server"
    server.detach(volume)
    return True


def test_the_boot_disk_of_a_server_is_shared_by_those_whom_the_profile_names(
    cluster: NovaCluster,
) -> None:
    with _bootable(cluster) as volume, servers(cluster) as start:
        booted = start(volume=volume)
        other = start(away_from=booted)
        start.wait()
        of_admin = Server(cluster, other.id, "admin")
        allowed = {"open": (True, True), "controlled": (False, True)}
        allowed["closed"] = (False, False)
        with booted.writing(volume, BLOCK + 1) as writer:
            for profile, of in allowed.items():
                with _profile(cluster, profile):
                    for server, may in zip((other, of_admin), of, strict=True):
                        assert _shares(server, booted, volume) == may
                        writer.goes_on()
        booted.delete()
