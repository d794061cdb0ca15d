# SPDX-License-Identifier: Apache-2.0
"""A host attaches and detaches a multi-attach volume one at a time."""

import pytest
from os_brick.initiator import utils

from tests.unit.cloud import A, B


@pytest.fixture
def service(cloud):
    """Give the id of the back end's service."""
    return cloud.service.uuid


def _locks(volume, monkeypatch):
    names = []

    def lock(name, *args, **kwargs):
        names.append(name)
        return utils.contextlib.nullcontext()

    monkeypatch.setattr(utils.lockutils, "lock", lock)
    with utils.guard_connection(volume):
        pass
    return names


def test_hosts_lock_a_multi_attach_volume_and_no_other(cloud, service, monkeypatch):
    shared, single = cloud.volume(), cloud.volume(multiattach=False)
    for volume in (shared, single):
        cloud.attach(volume, A)
    assert cloud.load(shared).shared_targets is None
    assert cloud.load(single).shared_targets is False
    assert _locks(cloud.load(shared), monkeypatch) == [service]
    assert _locks(cloud.load(single), monkeypatch) == []


def test_service_that_cinder_wrote_stays(cloud, service):
    volume = cloud.volume(service_uuid="of-cinder")
    cloud.attach(volume, A)
    assert cloud.load(volume).service_uuid == "of-cinder"


def test_without_a_service_hosts_do_not_lock(cloud, monkeypatch):
    cloud.service.destroy()
    volume = cloud.volume(shared_targets=False)
    cloud.attach(volume, A)
    assert cloud.load(volume).shared_targets is False
    assert _locks(cloud.load(volume), monkeypatch) == []


def test_volumes_attached_before_an_upgrade_get_the_lock_at_its_start(cloud, service):
    volume = cloud.volume()
    cloud.attach(volume, A)
    old = cloud.load(volume)
    old.update({"shared_targets": False, "status": "in-use"})
    old.save()
    update = cloud.driver.ensure_export(cloud.context, old)
    assert update["shared_targets"] is None


def test_lock_follows_the_volume_to_another_type(cloud, service):
    volume = cloud.volume()
    cloud.detach(volume, cloud.attach(volume, A))
    retyped = cloud.load(volume)
    retyped.multiattach = False
    retyped.save()
    cloud.attach(volume, B)
    assert cloud.load(volume).shared_targets is False


def test_pool_still_says_that_targets_are_not_shared(cloud):
    assert cloud.driver.get_volume_stats(refresh=True)["shared_targets"] is False
