# SPDX-License-Identifier: Apache-2.0
"""A fence and a request to attach that came before it and is carried out later."""

import pytest
from cinder import exception

from tests.contract.memory import LoginRefusedError
from tests.unit.cloud import A, B

#: What Nova adds to the connectors of a host's servers.
FIRST, LATER = {"mountpoint": "/dev/vdb"}, {"mountpoint": "/dev/vdc"}


@pytest.mark.parametrize("before", [False, True])
def test_host_that_is_fenced_while_its_request_waits_gets_nothing(
    cloud, meanwhile, fence, before
):
    """The fence does not know whose the attachment is, as it has no connector."""
    volume = cloud.volume()
    running = cloud.attach(volume, A | FIRST)
    if before:
        assert fence(volume, A["host"]).status == 0
        running = cloud.attach(volume, A | {"mountpoint": "/dev/vdd"})
    cloud.watch(1)
    waiting = cloud.reserve(volume)
    done = []
    meanwhile(lambda: done.append(fence(volume, A["host"])))
    with pytest.raises(exception.VolumeBackendAPIException, match="cut the host off"):
        cloud.connect(volume, A | LATER, waiting)
    assert done[0].status == 0
    assert not running.session.alive
    # What the fenced host's initiator goes on trying, with the pair that it had.
    with pytest.raises(LoginRefusedError):
        cloud.target.log_in(cloud.load(volume), A, running.information)
    # What comes after the fence is let in, as it says.
    assert cloud.connect(volume, A | LATER, waiting).session.alive


@pytest.mark.parametrize("how", ["deleted", "detached", "detached by force"])
def test_fence_that_is_over_keeps_out_who_waited_while_it_was_set(
    cloud, meanwhile, fence, how
):
    volume = cloud.volume()
    running = cloud.attach(volume, A | FIRST)
    cloud.watch(1)
    waiting = cloud.reserve(volume)
    end = {
        "deleted": lambda: cloud.forget(volume, running),
        "detached": lambda: cloud.detach(volume, running),
        "detached by force": lambda: cloud.force_detach(volume, running, A),
    }[how]

    def fence_and_end():
        assert fence(volume, A["host"]).status == 0
        end()

    meanwhile(fence_and_end)
    with pytest.raises(exception.VolumeBackendAPIException, match="cut the host off"):
        cloud.connect(volume, A | LATER, waiting)
    assert not cloud.driver._exports.fences.of(volume)
    assert cloud.connect(volume, A | LATER, waiting).session.alive


def test_other_host_may_come_while_one_is_fenced(cloud, meanwhile, fence):
    volume = cloud.volume()
    cloud.attach(volume, A | FIRST)
    waiting = cloud.reserve(volume)
    meanwhile(lambda: fence(volume, A["host"]))
    assert cloud.connect(volume, B | FIRST, waiting).session.alive


def test_late_request_of_a_host_that_was_fenced_once_gets_nothing(
    cloud, meanwhile, fence, goes_after
):
    volume = cloud.volume()
    cloud.attach(volume, B)
    cloud.attach(volume, A | FIRST)
    assert fence(volume, A["host"]).status == 0
    new = cloud.attach(volume, A | LATER)
    cloud.watch(1)
    meanwhile(lambda: cloud.terminate(volume, new))
    goes_after(volume, new)
    with pytest.raises(exception.VolumeBackendAPIException, match="gets no access"):
        cloud.connect(volume, A | LATER, new)
    cloud.reconcile()
    assert cloud.acls(volume) == {B["initiator"]}
