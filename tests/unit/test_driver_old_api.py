# SPDX-License-Identifier: Apache-2.0
"""Attachments by Cinder's old API, whose rows do not name their host (law 1)."""

import pytest

from tests.unit.cloud import A, B, Host

C = Host("compute3").connector


def _pass_often(cloud):
    for _ in range(4):
        cloud.wait(400)
        cloud.reconcile()


@pytest.mark.parametrize("mode", ["rw", "ro"])
def test_it_keeps_its_disk_beside_a_server_that_comes_and_goes_on_its_host(cloud, mode):
    volume = cloud.volume()
    old = cloud.os_attach(volume, A)
    server = cloud.attach(volume, A, mode)
    cloud.watch()
    assert old.writes()
    _pass_often(cloud)
    assert old.writes()
    cloud.detach(volume, server)
    _pass_often(cloud)
    assert old.writes()


@pytest.mark.parametrize("shelved", [1, 2])
def test_it_is_not_taken_for_a_server_that_waits(cloud, shelved):
    volume = cloud.volume()
    other = cloud.attach(volume, C)
    waiting = [cloud.reserve(volume) for _ in range(shelved)]
    old = cloud.os_attach(volume, A)
    cloud.watch(1)
    for one in waiting:
        cloud.connect(volume, B, one)
    cloud.watch(1)
    _pass_often(cloud)
    assert other.session.alive
    assert old.writes()
    cloud.os_detach(volume, old, A)
    _pass_often(cloud)
    assert not old.session.alive
    assert other.session.alive
