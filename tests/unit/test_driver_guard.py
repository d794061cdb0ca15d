# SPDX-License-Identifier: Apache-2.0
"""No second server writes to what is for one, if the type or the back end says so."""

import collections
import contextlib
import threading
import time
import types
import uuid

import pytest
from cinder import exception

from taikun_cinder import contents, shared_volumes
from taikun_cinder.access.contents import Content, Look
from tests.unit.cloud import A, B, Host, in_threads, lose, spoil

C = Host("compute3").connector
ONE, OTHER, THIRD = (str(uuid.uuid4()) for _ in range(3))

EXT4 = Look((Content("vfat", partition=1), Content("ext4", partition=2)))
FOUND = "vfat on partition 1 and ext4 on partition 2"
UNSEEN = Look(failure="its disk did not answer in 5 s")

pytestmark = pytest.mark.usefixtures("disk")


class Disk:
    """The disk of all volumes.

    Attributes:
        look: what is seen of it.
        looked_at: the devices, at each look.
        slow: is waited for in each look.
    """

    def __init__(self):
        self.look = EXT4
        self.looked_at = []
        self.slow = None

    def __call__(self, device):
        self.looked_at.append(device)
        if self.slow:
            self.slow.wait(10)
        return self.look


@pytest.fixture
def disk(monkeypatch):
    """Give the disk. It stands before ``cloud``, whose driver looks at it."""
    one = Disk()
    monkeypatch.setattr(contents, "look", one)
    return one


@pytest.fixture
def guarded(disk, cloud):
    """Return a function that makes a volume with a guard, which ONE writes to."""

    def make(guard, **specs):
        volume = cloud.volume(**cloud.volume_type(filesystem_guard=guard, **specs))
        writer = cloud.attach(volume, A, "rw", ONE)
        assert disk.looked_at == []
        return volume, writer

    return make


def _refused(cloud, volume, connector, *causes, **how):
    before = cloud.acls(volume)
    reserved = cloud.reserve(volume, **how)
    with pytest.raises(exception.VolumeBackendAPIException) as refused:
        cloud.connect(volume, connector, reserved)
    text = str(refused.value)
    for word in (volume, connector["host"], *causes, "Nothing was changed"):
        assert word in text
    assert cloud.acls(volume) == before
    cloud.forget(volume, reserved)
    return text


def test_denied_is_a_second_writer_and_nobody_else(disk, cloud, guarded):
    volume, writer = guarded("deny")
    told = _refused(cloud, volume, B, FOUND, f"server {ONE}", server=OTHER)
    for cure in ("OCFS2", "wipefs", "mode ro", "taikun:filesystem_guard"):
        assert cure in told
    _refused(cloud, volume, A, FOUND, server=OTHER)  # on the writer's host, too
    assert disk.looked_at == [f"/dev/cinder-volumes/volume-{volume}"] * 2
    reader = cloud.attach(volume, B, "ro", OTHER)
    assert (writer.writes(), reader.writes()) == (True, False)
    cloud.detach(volume, writer)
    assert cloud.attach(volume, C, server=THIRD).writes()
    assert len(disk.looked_at) == 2


def test_second_writer_only_reads(disk, cloud, guarded, log):
    volume, writer = guarded("ro")
    second = cloud.attach(volume, B, "rw", OTHER)
    assert (writer.writes(), second.writes()) == (True, False)
    assert second.information["access_mode"] == "ro"
    for word in (volume, B["host"], FOUND, ONE, OTHER, "only read", "OCFS2", "'ro'"):
        assert word in log.text
    # What was decided holds as long as the attachment.
    disk.look = Look()
    cloud.record(volume).unlink()
    cloud.restart_driver()
    cloud.reconcile()
    assert not second.writes()
    cloud.detach(volume, writer)
    assert not second.writes()
    assert cloud.attach(volume, C, server=THIRD).writes()


def test_second_writer_is_warned_of(cloud, guarded, log):
    volume, writer = guarded("warn")
    second = cloud.attach(volume, B, "rw", OTHER)
    assert (writer.writes(), second.writes()) == (True, True)
    (warning,) = [one for one in log.records if one.levelname == "WARNING"]
    for word in (volume, B["host"], FOUND, ONE, OTHER, "destroys", "mode ro", "OCFS2"):
        assert word in warning.getMessage()
    line = next(one.getMessage() for one in log.records if OTHER in one.getMessage())
    assert "as asked for; taikun:filesystem_guard is 'warn', found" in line


@pytest.mark.parametrize("guard", ["off", "warn", "ro", "deny"])
@pytest.mark.parametrize(
    "found",
    [(), (Content("ocfs2"),), (Content("LVM2_member", "shared", 1), Content("gfs2"))],
)
def test_what_may_be_shared_is(disk, cloud, guarded, log, guard, found):
    disk.look = Look(found)
    volume, writer = guarded(guard)
    second = cloud.attach(volume, B, server=OTHER)
    assert (writer.writes(), second.writes()) == (True, True)
    assert len(disk.looked_at) == (guard != "off")
    assert "WARNING" not in log.text
    assert cloud.attach(volume, C, server=THIRD).writes()


@pytest.mark.parametrize(
    "kind", [Content("ocfs2", "local"), Content("gfs2", "local"), Content("btrfs")]
)
def test_what_a_cluster_file_system_is_not_is_refused(disk, cloud, guarded, kind):
    disk.look = Look((Content("ocfs2"), kind))
    volume, _ = guarded("deny")
    _refused(cloud, volume, B, f"it has {kind}, which", server=OTHER)


def test_without_a_guard_nobody_looks(disk, cloud):
    volume = cloud.volume()
    assert cloud.attach(volume, A).writes()
    assert cloud.attach(volume, B).writes()
    cloud.reconcile()
    cloud.driver._reconcile.shared.look()
    assert disk.looked_at == []


@pytest.mark.options(taikun_filesystem_guard="deny")
def test_back_end_has_the_guard_for_types_without_one(cloud):
    volume = cloud.volume()
    cloud.attach(volume, A)
    _refused(cloud, volume, B, FOUND)
    volume = cloud.volume(**cloud.volume_type(filesystem_guard="off"))
    cloud.attach(volume, A)
    assert cloud.attach(volume, B).writes()


@pytest.mark.options(taikun_filesystem_guard="deny")
def test_volume_for_one_server_has_no_guard(disk, cloud):
    # A request of the old API that is repeated, as Ironic does, looks like another's.
    volume = cloud.load(cloud.volume(multiattach=False, status="attaching"))
    for _ in range(2):
        assert cloud.connect_only(volume, A).alive
    assert disk.looked_at == []


@pytest.mark.parametrize("attach", ["attach", "attach_in_one"])
def test_server_that_moves_is_no_second_one(disk, cloud, guarded, attach):
    volume, old = guarded("deny")
    new = getattr(cloud, attach)(volume, B, server=ONE)
    cloud.watch()
    assert (old.writes(), new.writes()) == (True, True)
    cloud.detach(volume, old)
    assert new.writes()
    assert disk.looked_at == []


@pytest.mark.parametrize("attach", ["attach", "attach_in_one"])
def test_one_of_several_writers_moves(disk, cloud, guarded, attach):
    volume, _ = guarded("deny")
    disk.look = Look((Content("ocfs2"),))
    cloud.attach(volume, B, server=OTHER)
    disk.look, disk.looked_at[:] = EXT4, []
    new = getattr(cloud, attach)(volume, C, server=OTHER)
    cloud.watch()
    assert new.writes()
    assert disk.looked_at == []


def test_mode_that_would_come_later_does_not_come(cloud, guarded):
    volume, _ = guarded("ro")
    second = cloud.attach_in_one(volume, B, "rw", OTHER)
    cloud.watch()
    assert not second.writes()
    volume, _ = guarded_deny(cloud)
    with pytest.raises(exception.VolumeBackendAPIException, match=FOUND):
        cloud.attach_in_one(volume, B, server=OTHER)


def guarded_deny(cloud):
    volume = cloud.volume(**cloud.volume_type(filesystem_guard="deny"))
    return volume, cloud.attach(volume, A, "rw", ONE)


def test_reader_that_is_to_write_is_a_second_writer(cloud, guarded):
    volume, _ = guarded("deny")
    reader = cloud.attach(volume, B, "ro", OTHER)
    cloud._write_mode(reader, volume, "rw")
    connector = {**B, "mode": "rw"}
    with pytest.raises(exception.VolumeBackendAPIException, match=FOUND):
        cloud.connect(volume, connector, reader)


def test_cinder_itself_is_neither_looked_at_nor_counted(disk, cloud, guarded):
    volume, _ = guarded("deny")
    busy = cloud.load(volume)
    busy.status = "backing-up"
    busy.save()
    assert cloud.connect_only(cloud.load(volume), C).alive
    other = cloud.volume(**cloud.volume_type(filesystem_guard="deny"))
    cloud.connect_only(cloud.load(other), C)
    assert cloud.attach(other, A).writes()
    assert disk.looked_at == []


def test_the_old_api_is_guarded_too(cloud, guarded):
    volume, _ = guarded("deny")
    with pytest.raises(exception.VolumeBackendAPIException, match=FOUND):
        cloud.os_attach(volume, B)


def test_rule_for_second_attachments_goes_before_the_guard(disk, cloud, guarded):
    volume, _ = guarded("deny", secondary_mode="ro")
    assert not cloud.attach(volume, B, server=OTHER).writes()
    assert disk.looked_at == []


def test_server_that_cannot_be_told_is_not_let_in_to_write(cloud, guarded):
    # OTHER has the volume reserved, as a shelved one does, while ONE moves.
    volume, _ = guarded("ro")
    cloud.reserve(volume, server=OTHER)
    _refused(cloud, volume, B, FOUND, "cannot be told", server=ONE)
    volume, _ = guarded_warn(cloud)
    cloud.reserve(volume, server=OTHER)
    assert cloud.attach(volume, B, server=ONE).session.alive


def test_refusal_says_that_the_server_cannot_be_told(cloud, guarded):
    volume, _ = guarded("deny")
    cloud.reserve(volume, server=OTHER)
    _refused(cloud, volume, B, FOUND, "cannot be told", ONE, OTHER, server=ONE)


def guarded_warn(cloud):
    volume = cloud.volume(**cloud.volume_type(filesystem_guard="warn"))
    return volume, cloud.attach(volume, A, "rw", ONE)


@pytest.mark.parametrize("guard", ["ro", "deny"])
def test_what_cannot_be_looked_at_lets_no_second_writer_in(disk, cloud, guarded, guard):
    disk.look = UNSEEN
    volume, writer = guarded(guard)
    told = _refused(cloud, volume, B, UNSEEN.failure, ONE, server=OTHER)
    assert "repeat the request" in told
    assert not cloud.attach(volume, B, "ro", OTHER).writes()
    disk.look = Look()
    assert cloud.attach(volume, C, server=THIRD).writes()
    assert writer.writes()


def test_what_cannot_be_looked_at_is_warned_of(disk, cloud, guarded, log):
    disk.look = UNSEEN
    volume, _ = guarded("warn")
    assert cloud.attach(volume, B, server=OTHER).writes()
    (warning,) = [one for one in log.records if one.levelname == "WARNING"]
    for word in (volume, B["host"], UNSEEN.failure, ONE):
        assert word in warning.getMessage()


@pytest.mark.parametrize("guard", ["ro", "deny"])
def test_one_writer_alone_whoever_comes_at_once(cloud, guard):
    volume = cloud.volume(**cloud.volume_type(filesystem_guard=guard))
    made = []

    def attach(connector):
        reserved = cloud.reserve(volume)
        with contextlib.suppress(exception.VolumeBackendAPIException):
            made.append(cloud.connect(volume, connector, reserved))

    hosts = [Host(f"compute{number}").connector for number in range(6)]
    in_threads(*[lambda host=host: attach(host) for host in hosts])
    cloud.watch()
    assert [attached.writes() for attached in made].count(True) == 1


def test_all_write_to_what_may_be_shared_whoever_comes_at_once(disk, cloud):
    disk.look = Look((Content("gfs2"),))
    volume = cloud.volume(**cloud.volume_type(filesystem_guard="deny"))
    reserved = [cloud.reserve(volume) for _ in range(6)]
    hosts = [Host(f"compute{number}").connector for number in range(6)]
    in_threads(
        *[
            lambda host=host, one=one: cloud.connect(volume, host, one)
            for host, one in zip(hosts, reserved, strict=True)
        ]
    )
    cloud.watch()
    assert all(attached.writes() for attached in reserved)
    assert len(disk.looked_at) <= 5


def test_slow_disk_holds_up_nobody_but_who_waits_for_the_look(disk, cloud, guarded):
    volume, writer = guarded("deny")
    reader = cloud.attach(volume, B, "ro", OTHER)
    disk.slow = threading.Event()
    second = cloud.reserve(volume, server=THIRD)
    refused = []

    def attach():
        try:
            cloud.connect(volume, C, second)
        except exception.VolumeBackendAPIException as error:
            refused.append(error)

    waits = threading.Thread(target=attach)
    waits.start()
    while not disk.looked_at:
        time.sleep(0.01)
    cloud.detach(volume, reader)
    cloud.reconcile()
    # Before the look is over the writer is gone.
    cloud.detach(volume, writer)
    assert waits.is_alive()
    disk.slow.set()
    waits.join()
    assert refused == []
    assert second.writes()


@pytest.mark.parametrize("value", ["RO", "none", ""])
def test_wrong_value_is_refused(cloud, value):
    volume = cloud.volume(**cloud.volume_type(filesystem_guard=value))
    with pytest.raises(exception.VolumeBackendAPIException) as refused:
        cloud.attach(volume, A)
    for word in (volume, f"taikun:filesystem_guard='{value}'", "off, warn, ro, deny"):
        assert word in str(refused.value)


def test_writer_whose_row_is_missing_counts_as_long_as_it_may_write(cloud, guarded):
    volume, writer = guarded("deny")
    cloud.reconcile()  # by now it is the row alone that tells of it
    lose(writer)
    initiator = A["initiator"]
    _refused(cloud, volume, B, FOUND, f"host {initiator}", "missing", server=OTHER)
    cloud.reconcile()  # which does not believe it yet
    _refused(cloud, volume, B, FOUND, f"host {initiator}", "missing", server=OTHER)
    assert writer.writes()
    cloud.reconcile()
    assert not writer.session.alive
    assert cloud.attach(volume, B, server=OTHER).writes()


def test_writer_whose_row_is_missing_gets_it_back(disk, cloud, guarded):
    volume, writer = guarded("deny")
    cloud.reconcile()
    lose(writer)
    again = cloud.attach(volume, A, server=ONE)
    cloud.reconcile()
    assert again.writes()
    assert disk.looked_at == []


def test_row_that_cinder_deleted_is_no_writer_any_more(disk, cloud, guarded):
    volume, writer = guarded("deny")
    cloud.reconcile()
    cloud.forget(volume, writer)  # and nobody told the driver
    assert cloud.attach(volume, B, server=OTHER).writes()
    assert not writer.session.alive
    assert disk.looked_at == []


# -- the reconcile


@pytest.fixture
def shared(disk, cloud, guarded):
    """Give a volume that ONE and OTHER write to, and has ext4 by now; and OTHER's."""
    disk.look = Look()
    volume, _ = guarded("deny")
    second = cloud.attach(volume, B, server=OTHER)
    disk.look, disk.looked_at[:] = EXT4, []
    return volume, second


def _pass(cloud):
    cloud.reconcile()
    cloud.driver._reconcile.shared.look()


def test_reconcile_warns_once_and_cuts_nobody_off(
    disk, cloud, shared, log, monkeypatch
):
    volume, second = shared
    monkeypatch.setattr(shared_volumes, "PERIOD", 0)
    for _ in range(3):
        _pass(cloud)
    assert len(disk.looked_at) == 3
    (warning,) = [one for one in log.records if one.levelname == "WARNING"]
    for word in (volume, FOUND, ONE, OTHER, "destroys", "Detach"):
        assert word in warning.getMessage()
    endangered = cloud.driver._reconcile.shared.endangered
    assert endangered.keys() == {volume}
    assert endangered[volume].found == FOUND
    assert endangered[volume].writers == {ONE, OTHER}
    assert second.writes()
    disk.look = UNSEEN  # which is no news
    _pass(cloud)
    assert cloud.driver._reconcile.shared.endangered.keys() == {volume}
    disk.look = Look((Content("xfs"),))
    _pass(cloud)
    assert [one.levelname for one in log.records].count("WARNING") == 2


@pytest.mark.parametrize("way", ["detach", "mend", "delete"])
def test_reconcile_tells_when_the_danger_is_over(
    disk, cloud, shared, log, monkeypatch, way
):
    volume, second = shared
    monkeypatch.setattr(shared_volumes, "PERIOD", 0)
    _pass(cloud)
    if way == "detach":
        cloud.detach(volume, second)
    elif way == "delete":
        cloud.load(volume).destroy()
    else:
        disk.look = Look((Content("ocfs2"),))
    _pass(cloud)
    assert cloud.driver._reconcile.shared.endangered == {}
    assert f"{volume}: there is no danger any more" in log.text


@pytest.mark.parametrize("times", [1, 2])
def test_server_of_the_old_api_is_one_writer(disk, cloud, monkeypatch, times):
    monkeypatch.setattr(shared_volumes, "PERIOD", 0)
    volume = cloud.volume(**cloud.volume_type(filesystem_guard="warn"))
    for connector in (A, B)[:times]:
        cloud.os_attach(volume, connector)
    _pass(cloud)
    endangered = cloud.driver._reconcile.shared.endangered
    assert [len(it.writers) for it in endangered.values()] == [2] * (times - 1)


def test_server_whose_row_cannot_be_read_is_one_writer(disk, cloud, guarded):
    _, writer = guarded("deny")
    cloud.reconcile()
    spoil(writer, connector="{")
    _pass(cloud)
    assert disk.looked_at == []
    assert writer.writes()


def test_reconcile_counts_a_writer_whose_row_is_missing(disk, cloud, shared):
    volume, second = shared
    lose(second)
    cloud.driver._reconcile.brake.limit = 0
    for _ in range(3):
        _pass(cloud)
    assert second.writes()
    endangered = cloud.driver._reconcile.shared.endangered
    assert endangered[volume].writers == {ONE, f"host {B['initiator']}"}


def test_volume_is_looked_at_now_and_then_only(disk, cloud, shared, monkeypatch):
    for _ in range(3):
        _pass(cloud)
    assert len(disk.looked_at) == 1
    monkeypatch.setattr(shared_volumes, "PERIOD", 0.01)
    time.sleep(0.02)
    _pass(cloud)
    assert len(disk.looked_at) == 2


def test_pass_looks_at_its_share_of_many_volumes(disk, cloud, guarded, monkeypatch):
    monkeypatch.setattr(shared_volumes, "SHARE", 2)
    disk.look = Look()
    for _ in range(5):
        volume, _ = guarded("warn")
        cloud.attach(volume, B, server=OTHER)
        disk.looked_at.clear()
    for seen in (2, 4, 5, 5):
        _pass(cloud)
        assert len(set(disk.looked_at)) == len(disk.looked_at) == seen


def _many(number, is_guarded=lambda _: True):
    """Give shared volumes, and the list of the ids of those that were looked at."""
    seen = []

    def look(volume):
        seen.append(volume["id"])
        return Look()

    shared = shared_volumes.SharedVolumes(look, is_guarded)
    for one in range(number):
        shared.note({"id": str(one)}, frozenset({ONE, OTHER}))
    return shared, seen


def test_every_shared_volume_has_its_turn(monkeypatch):
    now = 1000.0
    clock = types.SimpleNamespace(monotonic=lambda: now)
    monkeypatch.setattr(shared_volumes, "time", clock)
    shared, seen = _many(60)  # which is more than there is time for in a period
    for _ in range(30):
        shared.look()
        now += 60
    assert collections.Counter(seen) == {str(one): 2 for one in range(60)}


def test_volumes_without_a_guard_take_nobodys_turn(monkeypatch):
    monkeypatch.setattr(shared_volumes, "ASKED", 20)
    asked = []

    def is_guarded(volume_id):
        asked.append(volume_id)
        return volume_id == "29"

    shared, seen = _many(30, is_guarded)
    shared.look()
    assert (seen, len(asked)) == ([], 20)
    shared.look()
    assert (seen, len(asked)) == (["29"], 30)


def test_guard_that_is_turned_off_is_no_end_of_the_danger(
    cloud, shared, log, monkeypatch
):
    volume, _ = shared
    monkeypatch.setattr(shared_volumes, "PERIOD", 0)
    _pass(cloud)
    other = cloud.load(volume)
    other.update(cloud.volume_type(filesystem_guard="off"))
    other.save()
    _pass(cloud)
    assert cloud.driver._reconcile.shared.endangered == {}
    assert "no danger any more" not in log.text
    assert f"{volume}: nobody looks any more" in log.text


def test_servers_that_write_are_told_as_they_are_now(cloud, shared):
    volume, second = shared
    _pass(cloud)
    other = cloud.load(volume)
    other.update(cloud.volume_type(filesystem_guard="warn"))
    other.save()
    cloud.attach(volume, C, server=THIRD)
    cloud.detach(volume, second)
    cloud.reconcile()
    endangered = cloud.driver._reconcile.shared.endangered
    assert endangered[volume].writers == {ONE, THIRD}


def test_volume_whose_type_is_broken_is_not_looked_at(disk, cloud):
    disk.look = Look()
    volume = cloud.volume()
    cloud.attach(volume, A)
    cloud.attach(volume, B)
    broken = cloud.load(volume)
    broken.update(cloud.volume_type(filesystem_guard="never"))
    broken.save()
    _pass(cloud)
    assert disk.looked_at == []


@pytest.mark.options(taikun_reconcile_interval=1)
def test_look_that_does_not_come_back_holds_no_pass_up(disk, cloud, shared):
    _, second = shared
    disk.slow = threading.Event()
    passes = []
    once = cloud.driver._reconcile.once

    def counted():
        passes.append(1)
        once()

    cloud.driver._reconcile.once = counted
    try:
        until = time.monotonic() + 20
        while len(passes) < 3 and time.monotonic() < until:
            time.sleep(0.05)
        assert len(passes) >= 3
        assert len(disk.looked_at) == 1
    finally:
        disk.slow.set()
    while not cloud.driver._reconcile.shared.endangered:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert second.writes()
