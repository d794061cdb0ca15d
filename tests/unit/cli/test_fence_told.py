# SPDX-License-Identifier: Apache-2.0
"""What the fence tells an operator is so, and what it undoes it undoes wholly."""

import pytest
from cinder import coordination

from taikun_cinder import locks
from taikun_cinder.access.model import Initiator
from taikun_cinder.exception import TargetBusy
from tests.unit.cli.conftest import backend_of, silent
from tests.unit.cloud import A, B


def _fences(cloud, volume):
    return list((cloud.record(volume).parent / "fences").rglob("*.json"))


def _no_locks():
    raise ConnectionError("no etcd")


def _busy(name, *_more, **_other):
    raise TargetBusy(target=name, cause="the disk hangs")


@pytest.fixture
def fenced(cloud, fence):
    """Give a volume with a host that is fenced."""
    volume = cloud.volume()
    cloud.attach(volume, A)
    assert fence(volume, A["host"]).status == 0
    return volume


def test_it_is_not_lifted_without_the_locks(cloud, fence, fenced, monkeypatch):
    monkeypatch.setattr(coordination.COORDINATOR, "start", _no_locks)
    done = fence(fenced, A["host"], "--lift")
    assert done.status == 2
    assert "Nothing was done" in done.complaints
    assert _fences(cloud, fenced)


def test_it_is_not_lifted_without_the_database(cloud, fence, fenced, down):
    down(True)
    done = fence(fenced, A["host"], "--lift")
    assert done.status == 2
    assert "Nothing was done" in done.complaints
    assert _fences(cloud, fenced)


def test_it_is_not_lifted_by_a_database_that_says_nothing(
    cloud,
    fence,
    fenced,
    monkeypatch,
):
    monkeypatch.setattr("taikun_cinder.cli.fence.DATABASE_PATIENCE", 0.1)
    with silent(monkeypatch):
        done = fence(fenced, A["host"], "--lift")
    assert done.status == 2
    assert "does not answer" in done.complaints
    assert _fences(cloud, fenced)


def test_it_is_not_lifted_while_an_operation_is_under_way(
    cloud,
    fence,
    fenced,
    monkeypatch,
):
    """Which would write the fence again that it has read before."""
    monkeypatch.setattr("taikun_cinder.cli.fence._PATIENCE", 0.1)
    with locks.of_volume(cloud.load(fenced)):
        done = fence(fenced, A["host"], "--lift")
    assert done.status == 2
    assert "under way" in done.complaints
    assert _fences(cloud, fenced)


def test_fence_that_cannot_be_lifted_is_no_success(cloud, fence, fenced, monkeypatch):
    def unlink(_self, missing_ok=False):
        raise PermissionError(13, "not permitted")

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.unlink", unlink)
        done = fence(fenced, A["host"], "--lift")
    assert done.status == 1
    assert "cannot be deleted" in done.complaints
    assert not cloud.acls(fenced)


def test_database_that_says_nothing_keeps_nobody_in(cloud, fence, monkeypatch):
    volume = cloud.volume()
    attached, other = cloud.attach(volume, A), cloud.attach(volume, B)
    monkeypatch.setattr("taikun_cinder.cli.fence.DATABASE_PATIENCE", 0.1)
    with silent(monkeypatch):
        done = fence(volume, A["host"])
    assert done.status == 0
    assert "does not answer" in done.complaints
    assert not attached.session.alive
    cloud.pass_often()
    assert other.session.alive
    assert cloud.acls(volume) == {B["initiator"]}


def test_empty_name_of_a_host_stands_for_nobody(cloud, fence):
    """As of a script whose variable is not set, and hosts that tell no name."""
    volume = cloud.volume()
    nameless = {key: value for key, value in A.items() if key != "host"}
    attached = cloud.attach(volume, nameless)
    with pytest.raises(SystemExit) as ended:
        fence(volume, "")
    assert ended.value.code == 2
    assert attached.session.alive


def test_initiator_that_nobody_knows_is_told_with_those_that_there_are(cloud, fence):
    volume = cloud.volume()
    attached = cloud.attach(volume, A)
    done = fence(volume, A["initiator"] + "1")
    assert f"{A['host']} ({A['initiator']})" in done.complaints
    assert "nobody else" in done.complaints
    assert attached.session.alive


def test_what_could_not_be_seen_is_not_told(cloud, fence, monkeypatch):
    volume = cloud.volume()
    cloud.attach(volume, A)
    with monkeypatch.context() as patch:
        for call in "names", "read", "revoke":
            patch.setattr(cloud.target, call, _busy)
        patch.setattr(coordination.COORDINATOR, "start", _no_locks)
        done = fence(volume, A["host"])
    assert done.status == 1
    (row,) = done.json
    assert (row["Had access"], row["Was logged in"]) == (None, None)
    assert "is cut off" not in done.complaints


def test_host_that_is_cut_off_is_told_so_whatever_comes_then(cloud, fence, monkeypatch):
    volume = cloud.volume()
    cloud.attach(volume, A)
    with monkeypatch.context() as patch:
        patch.setattr(cloud.target, "ensure", _busy)
        done = fence(volume, A["host"])
    assert done.status == 1
    assert f"{A['initiator']} is cut off" in done.complaints
    assert done.json[0]["Had access"] is True


def test_other_back_end_that_is_broken_is_no_failure_of_the_fence(cloud, command):
    volume = cloud.volume()
    cloud.attach(volume, A)
    complaints = ["back end [lvm9]: it has no volume_group"]
    found = [backend_of(cloud)]
    done = command("fence", volume, A["host"], found=found, complaints=complaints)
    assert "lvm9" in done.complaints
    assert done.status == 0


def test_it_is_shown_as_long_as_it_is_there(cloud, fence, command):
    volume = cloud.volume()
    attached = cloud.attach(volume, A)
    backend = backend_of(cloud)
    arguments = "volume", "show", volume, "-f", "json"
    assert command(*arguments, found=[backend]).json["fences"] == []
    backend.exports.fences.set(volume, Initiator(A["initiator"]))
    (shown,) = command(*arguments, found=[backend]).json["fences"]
    assert shown["initiator"] == A["initiator"]
    assert "all" in shown["until deleted"]
    cloud.reconcile()
    (shown,) = command(*arguments, found=[backend]).json["fences"]
    assert shown["until deleted"] == attached.id


def test_volume_is_found_by_the_path_of_its_device(cloud, fence):
    volume = cloud.volume()
    cloud.attach(volume, A)
    device = f"/dev/cinder-volumes/{cloud.load(volume).name}"
    assert fence(device, A["host"]).status == 0


def test_volume_is_not_said_to_be_nowhere_where_the_kernel_cannot_be_asked(
    cloud, fence, monkeypatch
):
    monkeypatch.setattr(cloud.target, "names", _busy)
    done = fence("11111111-1111-4111-8111-111111111111", A["host"])
    assert done.status == 2
    assert "its exports cannot be listed" in done.complaints
    assert "was not found, and not all of" in done.complaints
