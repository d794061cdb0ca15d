# SPDX-License-Identifier: Apache-2.0
"""Who may make multi-attach volumes, and share bootable ones, by each profile."""

import contextlib
import shutil
from collections.abc import Iterator

import pytest
from cinderclient import exceptions

from lab import attachments
from lab.cluster import Cluster
from lab.workdir import PROJECT
from tests.lab import shared

#: By profile: who may make a multi-attach volume, and who share a bootable one.
PROFILES = {
    "open": ({"admin", "member", "sharer", "other"}, {"admin", "member"}),
    "controlled": ({"admin", "sharer"}, {"admin"}),
    "closed": (set(), set()),
}
USERS = ("admin", "member", "sharer", "reader", "other")


@contextlib.contextmanager
def _profile(cluster: Cluster, name: str) -> Iterator[None]:
    """Let cinder-api go by a profile, without a restart."""
    profile = PROJECT / f"etc/policy.d/multiattach-{name}.yaml"
    used = cluster.work.path / "etc/cinder/policy.d" / profile.name
    shutil.copyfile(profile, used)
    try:
        yield
    finally:
        used.unlink()


def _makes(cluster: Cluster, user: str, kind: str) -> bool:
    cinder = cluster.clients.volume(user)
    try:
        made = cinder.volumes.create(1, volume_type=kind)
    except exceptions.Forbidden:
        return False
    attachments.wait_for_status(cinder, made.id, "available")
    assert cinder.volumes.get(made.id).multiattach
    cinder.volumes.delete(made.id)
    attachments.wait_until_deleted(cinder, made.id)
    return True


def _retypes(cluster: Cluster, user: str, volume: str, kind: str) -> bool:
    cinder = cluster.clients.volume(user)
    try:
        cinder.volumes.retype(volume, kind, "never")
    except exceptions.Forbidden:
        return False
    attachments.wait_for_status(cinder, volume, "available")
    return True


def _shares(cluster: Cluster, user: str, volume: shared.Shared) -> bool:
    cinder = cluster.clients.volume(user, "nova")
    try:
        second = cinder.attachments.create(volume.id, None, None)
    except exceptions.Forbidden:
        return False
    cinder.attachments.delete(second["id"])
    return True


@pytest.mark.parametrize("profile", PROFILES)
def test_profile_lets_those_make_multiattach_volumes_whom_it_names(
    cluster: Cluster, profile: str
) -> None:
    makers, sharers = PROFILES[profile]
    # The volume is there before: the profile is about what comes.
    with shared.volume(cluster) as volume, shared.kind(cluster) as kind:
        admin = cluster.clients.volume("admin")
        admin.volumes.set_bootable(volume.id, True)
        first, _information = volume.let_in("compute3")
        plain = cluster.clients.volume("member").volumes.create(1)
        attachments.wait_for_status(admin, plain.id, "available")
        with _profile(cluster, profile):
            made = {user for user in USERS if _makes(cluster, user, kind)}
            assert made == makers
            may = _retypes(cluster, "member", plain.id, kind)
            assert may is ("member" in makers)
            for user in ("admin", "member"):
                assert _shares(cluster, user, volume) is (user in sharers)
        volume.end(first)
        admin.volumes.delete(plain.id)
        attachments.wait_until_deleted(admin, plain.id)
