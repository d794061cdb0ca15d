# SPDX-License-Identifier: Apache-2.0
"""Calls that overlap, are repeated or come late harm nobody and leave nothing."""

from functools import partial

from tests.unit.cloud import A, B, Host, in_threads


def test_two_concurrent_detaches_leave_nothing(cloud):
    volume = cloud.volume()
    first, second = cloud.attach(volume, A), cloud.attach(volume, B)
    # Both are ended before cinder-api deletes the first row.
    loaded = cloud.load(volume)
    assert cloud.terminate(volume, first) is True
    assert cloud.terminate(volume, second) is False
    cloud.driver.remove_export(cloud.context, loaded)
    cloud.forget(volume, first)
    cloud.forget(volume, second)
    assert cloud.acls(volume) is None


def test_two_concurrent_detaches_of_one_host_leave_nothing(cloud):
    volume = cloud.volume()
    first, second = cloud.attach(volume, A), cloud.attach(volume, A)
    in_threads(
        lambda: cloud.detach(volume, first), lambda: cloud.detach(volume, second)
    )
    assert cloud.acls(volume) is None


def test_two_detaches_of_one_host_before_any_row_is_deleted_leave_nothing(cloud):
    volume = cloud.volume()
    first, second = cloud.attach(volume, A), cloud.attach(volume, A)
    assert cloud.terminate(volume, first) is True
    assert cloud.terminate(volume, second) is False
    assert cloud.acls(volume) is None


def test_detach_repeated_after_an_api_failure_keeps_the_other_server(cloud):
    volume = cloud.volume()
    first, second = cloud.attach(volume, A), cloud.attach(volume, A)
    # cinder-api gave up waiting, so the row stays, and the user detaches again.
    cloud.manager.attachment_delete(cloud.context, first.id, cloud.load(volume))
    cloud.detach(volume, first)
    assert second.session.alive
    cloud.detach(volume, second)
    assert cloud.acls(volume) is None


def test_detach_of_the_last_repeated_after_an_api_failure_succeeds(cloud):
    volume = cloud.volume()
    only = cloud.attach(volume, A)
    cloud.manager.attachment_delete(cloud.context, only.id, cloud.load(volume))
    cloud.detach(volume, only)
    assert cloud.acls(volume) is None


def test_detach_overtaken_by_an_attach_keeps_the_new_host(cloud):
    volume = cloud.volume()
    first = cloud.attach(volume, A)
    loaded = cloud.load(volume)
    assert cloud.terminate(volume, first) is False
    second = cloud.attach(volume, B)
    cloud.driver.remove_export(cloud.context, loaded)
    cloud.forget(volume, first)
    assert second.session.alive
    assert cloud.acls(volume) == {B["initiator"]}


def test_detach_overtaken_by_an_attach_of_the_same_host_keeps_the_new_server(cloud):
    volume = cloud.volume()
    first = cloud.attach(volume, A)
    loaded = cloud.load(volume)
    assert cloud.terminate(volume, first) is False
    second = cloud.attach(volume, A)
    cloud.driver.remove_export(cloud.context, loaded)
    cloud.forget(volume, first)
    assert second.session.alive
    cloud.detach(volume, second)
    assert cloud.acls(volume) is None


def test_detach_overtaken_in_the_middle_of_an_attach_keeps_the_export(cloud):
    volume = cloud.volume()
    first, row = cloud.attach(volume, A), cloud.reserve(volume)
    loaded = cloud.load(volume)
    assert cloud.terminate(volume, first) is False
    cloud.driver.create_export(cloud.context, loaded, dict(B))
    cloud.driver.remove_export(cloud.context, loaded)
    cloud.driver.initialize_connection(loaded, dict(B))
    cloud.forget(volume, first)
    second = cloud.connect(volume, B, row)
    assert second.session.alive


def test_attached_host_lives_through_a_storm_of_attaches_and_detaches(cloud):
    volume = cloud.volume()
    stays = cloud.attach(volume, A)

    def come_and_go(name):
        for _ in range(3):
            cloud.detach(volume, cloud.attach(volume, Host(name).connector))

    in_threads(*(partial(come_and_go, f"compute{n}") for n in (1, 2, 3)))
    assert stays.session.alive
    assert cloud.acls(volume) == {A["initiator"]}
    cloud.detach(volume, stays)
    assert cloud.acls(volume) is None
