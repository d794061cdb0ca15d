# SPDX-License-Identifier: Apache-2.0
"""Each profile decides who may make multi-attach volumes and share bootable ones."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from cinderclient import exceptions

from lab import attachments
from lab.cluster import Cluster
from lab.demo import BACKEND
from lab.plan import VOLUME_GROUP
from lab.workdir import PROJECT
from tests.lab import shared

#: Users of the project that has the volume, and one of another project.
PROJECTS_USERS = ("admin", "manager", "member", "sharer", "reader")
USERS = (*PROJECTS_USERS, "other")

_MEMBERS = {"admin", "manager", "member", "sharer"}

#: By profile: the users that may make a multi-attach volume, and share a bootable
#: one. A user of another project makes volumes there, and does not see those of this
#: one.
PROFILES: dict[str, tuple[set[str], set[str]]] = {
    "open": ({*_MEMBERS, "other"}, _MEMBERS),
    "controlled": ({"admin", "sharer"}, {"admin"}),
    "closed": (set(), set()),
}


@contextlib.contextmanager
def _policies(cluster: Cluster, text: str) -> Iterator[None]:
    """Let cinder-api go by further policies, without a restart."""
    used = cluster.work.path / "etc/cinder/policy.d/of-a-test.yaml"
    used.write_text(text)
    try:
        yield
    finally:
        used.unlink()


def _profile(cluster: Cluster, name: str) -> contextlib.AbstractContextManager[None]:
    profile = PROJECT / f"etc/policy.d/multiattach-{name}.yaml"
    return _policies(cluster, profile.read_text())


def _makes(cluster: Cluster, user: str, volume_type: str) -> bool:
    """Say whether a user may make a multi-attach volume, of a type without back end.

    Other tests show what becomes of a volume that may be made; it takes half a minute.
    """
    cinder = cluster.clients.volume(user)
    try:
        made = cinder.volumes.create(1, volume_type=volume_type)
    except exceptions.Forbidden:
        return False
    assert made.multiattach
    attachments.wait_for_status(cinder, made.id, "error")
    cinder.volumes.delete(made.id)
    attachments.wait_until_deleted(cinder, made.id)
    return True


def _retypes(cluster: Cluster, user: str, volume: str, volume_type: str) -> bool:
    cinder = cluster.clients.volume(user)
    try:
        cinder.volumes.retype(volume, volume_type, "never")
    except exceptions.Forbidden:
        return False
    admin = cluster.clients.volume("admin")
    found = attachments.wait_for_status(admin, volume, "available")
    assert (found.multiattach, found.volume_type) == (True, volume_type)
    admin.volumes.retype(volume, "plain", "never")
    found = attachments.wait_for_status(admin, volume, "available")
    assert (found.multiattach, found.volume_type) == (False, "plain")
    return True


def _shares(cluster: Cluster, user: str, volume: shared.Shared) -> bool:
    cinder = cluster.clients.volume(user, "nova")
    try:
        second = cinder.attachments.create(volume.id, None, None)
    except exceptions.Forbidden:
        return False
    cinder.attachments.delete(second["id"])
    return True


@pytest.mark.in_turn(3)
@pytest.mark.parametrize("profile", PROFILES)
def test_profile_lets_those_make_multiattach_volumes_whom_it_names(
    cluster: Cluster, profile: str
) -> None:
    makers, sharers = PROFILES[profile]
    # The volume exists already: a profile decides only about later requests.
    with (
        shared.volume(cluster) as volume,
        shared.volume_type(cluster) as volume_type,
        shared.volume_type(cluster, "nowhere") as unserved,
        shared.plain(cluster) as plain,
    ):
        admin = cluster.clients.volume("admin")
        admin.volumes.set_bootable(volume.id, True)
        first, _information = volume.let_in("compute3")
        with _profile(cluster, profile):
            made = {user for user in USERS if _makes(cluster, user, unserved)}
            assert made == makers
            retyped = {
                user
                for user in PROJECTS_USERS
                if _retypes(cluster, user, plain.id, volume_type)
            }
            assert retyped == makers & set(PROJECTS_USERS)
            shared_by = {
                user for user in PROJECTS_USERS if _shares(cluster, user, volume)
            }
            assert shared_by == sharers
            with pytest.raises(exceptions.NotFound):
                _retypes(cluster, "other", plain.id, volume_type)
            with pytest.raises(exceptions.NotFound):
                _shares(cluster, "other", volume)
        volume.end(first)


def test_only_the_policy_of_management_closes_the_way_around_the_profiles(
    cluster: Cluster,
) -> None:
    admin = cluster.clients.volume("admin")
    storage = cluster.nodes["storage"]
    new = f"--yes --wipesignatures n -L 1g -n found {VOLUME_GROUP}"
    storage.run(f"lvcreate {new}")
    (pool,) = (name for name in cluster.pools() if f"@{BACKEND}#" in name)
    with shared.volume_type(cluster) as volume_type:

        def manage(user: str) -> Any:
            cinder = cluster.clients.volume(user)
            return cinder.volumes.manage(
                pool, {"source-name": "found"}, volume_type=volume_type
            )

        closed = (PROJECT / "etc/policy.d/multiattach-closed.yaml").read_text()
        with _policies(cluster, closed):
            with pytest.raises(exceptions.Forbidden):
                manage("member")
            made = manage("admin")
            found = attachments.wait_for_status(admin, made.id, "available")
            assert found.multiattach
        with (
            _policies(cluster, f'{closed}\n"volume_extension:volume_manage": "!"\n'),
            pytest.raises(exceptions.Forbidden),
        ):
            manage("admin")
        admin.volumes.delete(made.id)
        attachments.wait_until_deleted(admin, made.id)
