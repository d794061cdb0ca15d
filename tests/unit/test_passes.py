# SPDX-License-Identifier: Apache-2.0
"""A pass keeps an account of what it saw, did and had to leave."""

import pytest

from taikun_cinder.access.model import Initiator, Mode
from taikun_cinder.brake import Reason
from taikun_cinder.exception import TargetBusy
from taikun_cinder.targets.lio.kinds import Kind
from taikun_cinder.targets.lio.steps import RemoveAcl
from tests.unit.cloud import A, B
from tests.unit.memory import name_of


def test_accesses_are_seen_with_their_modes_and_sessions(cloud):
    volume = cloud.volume()
    cloud.volume()
    cloud.attach(volume, A, "rw")
    cloud.attach(volume, B, "ro").session.logout()
    cloud.reconcile()
    last = cloud.driver._reconcile.last
    assert last.volumes == 2
    assert [
        (access.initiator, access.mode, access.connected)
        for access in last.accesses.pop(volume)
    ] == [(A["initiator"], Mode.RW, True), (B["initiator"], Mode.RO, False)]
    assert last.accesses == {}
    assert last.seconds is not None
    assert not last.failed
    assert not last.put_right
    assert not last.left


def test_volume_that_nobody_can_reach_any_more_is_no_access(cloud):
    volume = cloud.volume()
    attached = cloud.attach(volume, A)
    cloud.forget(volume, attached)
    cloud.reconcile()
    last = cloud.driver._reconcile.last
    assert last.accesses == {}
    assert last.put_right[Kind.UNWANTED] >= 1


def test_what_is_put_right_is_counted_by_kind(cloud):
    volume = cloud.volume()
    cloud.attach(volume, A)
    name = name_of(cloud.load(volume))
    cloud.target.kernel.take(name, RemoveAcl(Initiator(A["initiator"])))
    cloud.reconcile()
    assert cloud.driver._reconcile.last.put_right[Kind.ACL] >= 1
    cloud.reconcile()
    assert not cloud.driver._reconcile.last.put_right


def test_orphan_that_is_removed_counts_as_put_right(cloud):
    volume = cloud.volume()
    cloud.attach(volume, A).session.logout()
    cloud.load(volume).destroy()
    cloud.reconcile()
    assert cloud.target.names("") == frozenset()
    assert cloud.driver._reconcile.last.put_right[Kind.UNWANTED] >= 1


def test_busy_target_is_told_apart_from_other_failures(cloud, monkeypatch):
    busy, broken = cloud.volume(), cloud.volume()
    for volume in (busy, broken):
        cloud.attach(volume, A)
    cloud.reconcile()
    errors: dict[str, Exception] = {
        busy: TargetBusy(target="iqn.x", cause="remove acl"),
        broken: OSError("no"),
    }

    def ensure(volume, **_how):
        raise errors[volume["id"]]

    monkeypatch.setattr(cloud.driver._exports, "ensure", ensure)
    assert cloud.driver._reconcile.once() == 2
    last = cloud.driver._reconcile.last
    assert last.failed == {busy, broken}
    assert last.busy.keys() == {busy}
    assert "iqn.x" in last.busy[busy]
    # Its hosts have it still.
    assert last.accesses.keys() == {busy, broken}


@pytest.mark.options(taikun_max_revocations=0)
def test_what_the_brake_holds_is_part_of_it(cloud):
    volume = cloud.volume()
    cloud.attach(volume, A)
    cloud.reconcile()
    cloud.lose_rows(volume)
    held = []
    for _ in range(2):
        cloud.reconcile()
        last = cloud.driver._reconcile.last
        held.append((len(last.held.revocations), last.held.reason))
    assert held == [(1, Reason.MISSING_ONCE), (1, Reason.OVER_LIMIT)]


def test_database_that_does_not_know_the_service_is_not_trusted(cloud):
    cloud.reconcile()
    assert cloud.driver._reconcile.last.trusted
    cloud.service.destroy()
    cloud.reconcile()
    assert not cloud.driver._reconcile.last.trusted
