# SPDX-License-Identifier: Apache-2.0
"""A second server gets what its volume's type or back end allows."""

import contextlib
import uuid

import pytest
from cinder import exception

from tests.unit.cloud import A, B, Host, in_threads, lose

C = Host("compute3").connector
MANY = [Host(f"many{number}").connector for number in range(6)]
ONE, OTHER, THIRD = (str(uuid.uuid4()) for _ in range(3))


def _refused(cloud, volume, connector, cause, **how):
    before = cloud.acls(volume)
    reserved = cloud.reserve(volume, **how)
    with pytest.raises(exception.VolumeBackendAPIException) as refused:
        cloud.connect(volume, connector, reserved)
    text = str(refused.value)
    assert volume in text
    assert connector["host"] in text
    assert cause in text
    assert "Nothing was changed" in text
    assert cloud.acls(volume) == before
    cloud.forget(volume, reserved)


def test_second_servers_only_read_until_the_writer_is_gone(cloud):
    volume = cloud.volume(**cloud.volume_type(secondary_mode="ro"))
    writer, reader = cloud.attach(volume, A, "rw"), cloud.attach(volume, B, "rw")
    assert (writer.writes(), reader.writes()) == (True, False)
    assert reader.information["access_mode"] == "ro"
    cloud.detach(volume, writer)
    cloud.reconcile()
    assert not reader.writes()
    third = cloud.attach(volume, C)
    assert third.writes()
    assert not reader.writes()


def test_host_whose_row_is_missing_counts_as_long_as_it_has_the_volume(cloud):
    volume = cloud.volume(**cloud.volume_type(secondary_mode="ro", max_hosts="2"))
    writer = cloud.attach(volume, A)
    cloud.reconcile()
    lose(writer)
    second = cloud.attach(volume, B)
    assert (writer.writes(), second.writes()) == (True, False)
    _refused(cloud, volume, C, "its limit is 2")
    for _ in range(2):
        cloud.reconcile()
    assert not writer.session.alive
    assert cloud.attach(volume, C).writes()


def test_server_that_asked_to_read_leaves_writing_to_another(cloud):
    volume = cloud.volume(**cloud.volume_type(secondary_mode="ro"))
    reader, writer = cloud.attach(volume, A, "ro"), cloud.attach(volume, B)
    assert (reader.writes(), writer.writes()) == (False, True)


def test_what_was_decided_survives_a_restart_without_the_record(cloud):
    volume = cloud.volume(**cloud.volume_type(secondary_mode="ro"))
    _, reader = cloud.attach(volume, A), cloud.attach(volume, B)
    cloud.record(volume).unlink()
    cloud.restart_driver()
    cloud.reconcile()
    assert not reader.writes()


def test_second_server_on_the_writers_host_is_told_to_read(cloud):
    volume = cloud.volume(**cloud.volume_type(secondary_mode="ro"))
    writer, reader = cloud.attach(volume, A), cloud.attach(volume, A)
    assert reader.information["access_mode"] == "ro"
    cloud.detach(volume, writer)
    assert not reader.writes()


@pytest.mark.parametrize("attach", ["attach", "attach_in_one"])
def test_writer_takes_its_right_to_another_host(cloud, attach):
    volume = cloud.volume(**cloud.volume_type(secondary_mode="ro", max_hosts="2"))
    old = cloud.attach(volume, A, server=ONE)
    reader = cloud.attach(volume, B, server=OTHER)
    new = getattr(cloud, attach)(volume, C, server=ONE)
    cloud.watch()
    assert [attached.writes() for attached in (old, reader, new)] == [True, False, True]
    cloud.detach(volume, old)
    assert [attached.writes() for attached in (reader, new)] == [False, True]


def test_reader_that_moves_stays_a_reader(cloud):
    volume = cloud.volume(**cloud.volume_type(secondary_mode="ro"))
    cloud.attach(volume, A, server=ONE)
    cloud.attach(volume, B, server=OTHER)
    moved = cloud.attach_in_one(volume, C, server=OTHER)
    cloud.watch()
    assert not moved.writes()


def test_second_server_is_denied_and_a_server_on_the_move_is_not(cloud):
    volume = cloud.volume(**cloud.volume_type(secondary_mode="deny"))
    first = cloud.attach(volume, A, server=ONE)
    _refused(cloud, volume, B, "'deny'")
    _refused(cloud, volume, A, "'deny'")
    moved = cloud.attach(volume, B, server=ONE)
    cloud.detach(volume, first)
    assert moved.writes()
    cloud.detach(volume, moved)
    assert cloud.attach(volume, C).writes()


def test_rule_that_depends_on_a_server_that_cannot_be_told(cloud):
    # Another server has the volume reserved, as a shelved one does, while ONE moves.
    volume = cloud.volume(**cloud.volume_type(secondary_mode="ro"))
    cloud.attach(volume, A, server=ONE)
    cloud.reserve(volume, server=OTHER)
    _refused(cloud, volume, B, "cannot be told", server=ONE)


def test_limit_of_hosts(cloud):
    volume = cloud.volume(**cloud.volume_type(max_hosts="2"))
    first = cloud.attach(volume, A)
    cloud.attach(volume, B)
    cloud.attach(volume, B)  # the same host
    _refused(cloud, volume, C, "its limit")
    cloud.detach(volume, first)
    assert cloud.attach(volume, C).writes()


def test_limit_of_hosts_lets_a_server_move(cloud):
    volume = cloud.volume(**cloud.volume_type(max_hosts="1"))
    first = cloud.attach(volume, A, server=ONE)
    second = cloud.attach(volume, B, server=ONE)
    cloud.detach(volume, first)
    assert second.writes()


@pytest.mark.parametrize("rule", [{"secondary_mode": "deny"}, {"max_hosts": "1"}])
def test_one_server_on_many_hosts_is_not_a_server_on_the_move(cloud, rule):
    volume = cloud.volume(**cloud.volume_type(**rule))
    hosts = [Host(f"compute{number}").connector for number in range(6)]
    for host in hosts[:2]:
        assert cloud.attach(volume, host, server=ONE).writes()
    for host in hosts[2:]:
        cause = f"server {ONE} has it on 2 other hosts"
        _refused(cloud, volume, host, cause, server=ONE)
    assert cloud.acls(volume) == {host["initiator"] for host in hosts[:2]}


@pytest.mark.parametrize("rule", ["ro", "deny"])
def test_one_server_on_many_hosts_at_once(cloud, rule):
    volume = cloud.volume(**cloud.volume_type(secondary_mode=rule))
    reserved = [cloud.reserve(volume, server=ONE) for _ in range(6)]

    def connect(number):
        host = Host(f"compute{number}").connector
        with contextlib.suppress(exception.VolumeBackendAPIException):
            cloud.connect(volume, host, reserved[number])

    in_threads(*[lambda number=number: connect(number) for number in range(6)])
    cloud.watch()
    assert len([attached for attached in reserved if attached.session]) == 2


@pytest.mark.parametrize("rule", [{"secondary_mode": "deny"}, {"max_hosts": "1"}])
def test_server_moves_as_often_as_it_likes(cloud, rule):
    volume = cloud.volume(**cloud.volume_type(**rule))
    here = cloud.attach(volume, A, server=ONE)
    for host in (B, C, A, B):
        # Nova's live migration: the old attachment goes when the server has arrived.
        there = cloud.attach_in_one(volume, host, server=ONE)
        cloud.watch()
        assert (here.writes(), there.writes()) == (True, True)
        cloud.detach(volume, here)
        here = there
    # One that is rolled back: the new attachment goes, and the old one was never away.
    back = cloud.attach_in_one(volume, C, server=ONE)
    cloud.detach(volume, back)
    there = cloud.attach_in_one(volume, A, server=ONE)
    cloud.watch()
    assert there.writes()
    cloud.detach(volume, here)
    # A resize, an evacuation: another one is reserved, and the old one goes first.
    reserved = cloud.reserve(volume, server=ONE)
    cloud.detach(volume, there)
    assert cloud.connect(volume, B, reserved).writes()


def test_server_that_stays_on_two_hosts_counts_for_both(cloud):
    volume = cloud.volume(**cloud.volume_type(max_hosts="2"))
    old = cloud.attach(volume, A, server=ONE)
    cloud.attach(volume, B, server=ONE)
    _refused(cloud, volume, C, "its limit", server=OTHER)
    cloud.detach(volume, old)
    assert cloud.attach(volume, C, server=OTHER).writes()


def test_server_may_be_on_many_hosts_where_nothing_is_limited(cloud):
    volume = cloud.volume()
    for host in (A, B, C):
        assert cloud.attach(volume, host, server=ONE).writes()


def test_request_that_is_repeated_is_no_second_server(cloud):
    volume = cloud.volume(**cloud.volume_type(secondary_mode="deny", max_hosts="1"))
    attached = cloud.reserve(volume)
    for _ in range(2):
        # Cinder lost the answer to the first one.
        cloud.manager.driver.initialize_connection(cloud.load(volume), dict(A))
    assert cloud.connect(volume, A, attached).writes()
    assert cloud.connect(volume, A, attached).writes()


def test_cinder_itself_is_no_second_server(cloud):
    volume = cloud.volume(**cloud.volume_type(secondary_mode="deny", max_hosts="1"))
    backup = cloud.connect_only(cloud.load(volume), B)
    assert cloud.attach(volume, A).writes()
    assert backup.alive


@pytest.mark.options(taikun_secondary_mode="deny", taikun_max_hosts=3)
def test_back_end_has_the_rule_for_types_without_one(cloud):
    volume = cloud.volume()
    cloud.attach(volume, A)
    _refused(cloud, volume, B, "'deny'")
    volume = cloud.volume(**cloud.volume_type(secondary_mode="rw"))
    for host in ("compute1", "compute2", "compute3"):
        cloud.attach(volume, Host(host).connector)
    _refused(cloud, volume, Host("compute4").connector, "its limit")


def test_volume_whose_type_is_gone_goes_by_its_back_end(cloud, log):
    volume = cloud.load(cloud.volume(volume_type_id=str(uuid.uuid4())))
    # Cinder's manager asks for the type itself, where it is for a server.
    cloud.driver.initialize_connection(volume, dict(A))
    assert "is gone" in log.text
    assert cloud.acls(volume.id) == {A["initiator"]}


@pytest.mark.parametrize(
    ("spec", "value", "allowed"),
    [
        ("secondary_mode", "RO", "one of rw, ro, deny"),
        ("max_hosts", "-1", "a number from 0"),
        ("max_hosts", "two", "a number from 0"),
    ],
)
def test_extra_spec_that_is_none_is_refused(cloud, spec, value, allowed):
    volume = cloud.volume(**cloud.volume_type(**{spec: value}))
    reserved = cloud.reserve(volume)
    with pytest.raises(exception.VolumeBackendAPIException) as refused:
        cloud.connect(volume, A, reserved)
    for word in (volume, f"taikun:{spec}", value, allowed):
        assert word in str(refused.value)
    assert cloud.acls(volume) is None
    new, right = cloud.load(volume), cloud.load(cloud.volume())
    for use in (
        lambda: cloud.driver.create_volume(new),
        lambda: cloud.driver.create_volume_from_snapshot(new, {}),
        lambda: cloud.driver.create_cloned_volume(new, right),
        lambda: cloud.driver.manage_existing_get_size(new, {"source-name": "a"}),
        lambda: cloud.driver.retype(cloud.context, right, new.volume_type, {}, {}),
    ):
        with pytest.raises(exception.VolumeDriverException, match=allowed) as refused:
            use()
        assert new.volume_type.name in str(refused.value)
    assert cloud.driver.retype(cloud.context, new, right.volume_type, {}, {})


@pytest.mark.parametrize("rule", ["ro", "deny"])
def test_one_writer_alone_whoever_comes_at_once(cloud, rule):
    volume = cloud.volume(**cloud.volume_type(secondary_mode=rule))
    made = []

    def attach(connector):
        reserved = cloud.reserve(volume)
        with contextlib.suppress(exception.VolumeBackendAPIException):
            made.append(cloud.connect(volume, connector, reserved))

    hosts = [Host(f"compute{number}").connector for number in range(5)]
    in_threads(*[lambda host=host: attach(host) for host in hosts])
    cloud.watch()
    assert [attached.writes() for attached in made].count(True) == 1


@pytest.mark.parametrize(
    "rule", [{"secondary_mode": "deny"}, {"max_hosts": "1"}, {"max_hosts": "2"}]
)
def test_one_server_does_not_get_the_volume_to_six_hosts(cloud, rule):
    volume = cloud.volume(**cloud.volume_type(**rule))
    server = str(uuid.uuid4())
    sessions = []
    for host in MANY:
        row = cloud.reserve(volume, server=server)
        with contextlib.suppress(exception.CinderException):
            sessions.append(cloud.connect_only(cloud.load(volume), host))
        cloud.manager.attachment_delete(cloud.context, row.id, cloud.load(volume))
        cloud.forget(volume, row)
    cloud.reserve(volume, server=server)
    cloud.watch(1)
    cloud.pass_often()
    assert sum(one.alive for one in sessions) <= 2


@pytest.mark.parametrize("rule", [{"secondary_mode": "deny"}, {"max_hosts": "1"}])
def test_lost_answer_of_a_server_keeps_no_other_out(cloud, rule):
    volume = cloud.volume(**cloud.volume_type(**rule))
    cloud.lose_answer(volume, A, str(uuid.uuid4()))
    assert cloud.attach(volume, B).session.alive


def test_without_a_rule_nobody_is_refused_for_one(cloud):
    volume = cloud.volume()
    reserved = cloud.reserve(volume)
    # Its answer is lost, and Cinder may ask again.
    cloud.driver.initialize_connection(cloud.load(volume), dict(A))
    assert cloud.attach_in_one(volume, A, "rw").session.alive
    assert reserved.id


@pytest.mark.options(taikun_secondary_mode="ro")
def test_second_server_does_not_become_a_writer_on_the_writers_host(cloud):
    volume = cloud.volume()
    writer = cloud.attach(volume, A)
    cloud.watch()
    second = cloud.reserve(volume)
    # Its answer is lost on one host, and the same attachment goes to another.
    cloud.driver.initialize_connection(cloud.load(volume), dict(B))
    with pytest.raises(exception.VolumeBackendAPIException, match="cannot be told"):
        cloud.connect(volume, A, second)
    cloud.pass_often()
    cloud.connect(volume, A, second)
    assert writer.information["access_mode"] == "rw"
    assert second.information["access_mode"] == "ro"
