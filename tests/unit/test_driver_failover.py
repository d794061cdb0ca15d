# SPDX-License-Identifier: Apache-2.0
"""A back end goes on, on another node, by what a dead one left on the state volume."""

import json

import pytest
from cinder import exception

from taikun_cinder import targets
from tests.unit.cloud import A, B
from tests.unit.memory import MemoryTarget

#: How much longer the dead node was up than this one, in seconds.
_LONGER = 1e6


@pytest.fixture
def fail_over(cloud, mount_state_volume, monkeypatch):
    """Return a function that starts the back end where its records came from elsewhere.

    The state volume is mounted from the beginning.
    """
    mount_state_volume()

    def fail_over(volume, up=-_LONGER):
        file = cloud.record(volume)
        plain = json.loads(file.read_text())
        assert plain["state_volume"]
        plain["about"] |= {"node": "dead", "machine": "dead"}
        for kind in ("flights", "ended"):
            for one in plain[kind]:
                one["since"] += up
        file.write_text(json.dumps(plain))
        # The kernel of another node has nothing of it.
        target = MemoryTarget()
        monkeypatch.setattr(targets, "of", lambda configuration: target)
        cloud.restart_driver()

    return fail_over


def test_hosts_are_let_in_as_they_were(cloud, fail_over):
    volume = cloud.volume()
    cloud.attach(volume, A)
    leaves = cloud.attach(volume, B)
    fail_over(volume)
    assert cloud.acls(volume) == {A["initiator"], B["initiator"]}
    cloud.detach(volume, leaves)
    assert cloud.acls(volume) == {A["initiator"]}


@pytest.mark.parametrize("up", [-_LONGER, _LONGER])
def test_who_was_detached_by_the_dead_node_stays_out(cloud, fail_over, up):
    volume = cloud.volume()
    cloud.attach(volume, A)
    leaves = cloud.attach(volume, B)
    cloud.terminate(volume, leaves)  # and its row is not deleted yet
    fail_over(volume, up)
    cloud.reconcile()
    assert cloud.acls(volume) == {A["initiator"]}


@pytest.mark.parametrize("up", [-_LONGER, _LONGER])
def test_cinders_own_connection_has_time_to_come_back_and_no_more(cloud, fail_over, up):
    volume = cloud.volume()
    cloud.connect_only(cloud.load(volume), A)
    fail_over(volume, up)
    cloud.reconcile()
    assert cloud.acls(volume) == {A["initiator"]}
    cloud.pass_often()
    assert cloud.acls(volume) is None


def test_record_of_a_time_before_the_state_volume_lets_nobody_in(cloud, fail_over):
    """As a node's own folder has it, after the volume group came back to it."""
    volume = cloud.volume()
    stays, leaves = cloud.attach(volume, A), cloud.attach(volume, B)
    stale = json.loads(cloud.record(volume).read_text())
    stale["about"] |= {"node": "another", "machine": "another"}
    del stale["state_volume"]
    cloud.detach(volume, leaves)
    fail_over(volume)
    cloud.record(volume).write_text(json.dumps(stale))
    cloud.restart_driver()
    assert cloud.acls(volume) == {A["initiator"]}
    cloud.detach(volume, stays)
    assert cloud.acls(volume) is None


def test_nobody_is_let_in_where_the_group_is_not_started(cloud, share):
    volume = cloud.volume()
    share(cloud.driver._group)
    with pytest.raises(exception.VolumeBackendAPIException) as refused:
        cloud.attach(volume, A)
    assert f"volume {volume} cannot be activated" in str(refused.value)
    assert "not started on this one" in str(refused.value)
    assert "crm_mon" in str(refused.value)
    assert "lvchange -ay" not in str(refused.value)
    cloud.reconcile()
    assert cloud.acls(volume) is None
