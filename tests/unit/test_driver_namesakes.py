# SPDX-License-Identifier: Apache-2.0
"""Hosts that were cloned with their InitiatorName do not throw each other out."""

import pytest
from cinder import exception

from tests.unit.cloud import A, in_threads

ONE = "4c4c4544-0042-3510-8048-b8c04f4a3832"
TWO = "4c4c4544-0042-3510-8048-b8c04f4a3833"
NOVA = A | {"ip": "192.0.2.1", "system uuid": ONE}
CINDER = NOVA | {"host": "compute1.example.com", "ip": "198.51.100.1"}
CLONE = A | {"host": "compute9", "ip": "192.0.2.9", "system uuid": TWO}


def _refused(cloud, volume, connector=CLONE):
    reserved = cloud.reserve(volume)
    with pytest.raises(exception.VolumeBackendAPIException) as refused:
        cloud.connect(volume, connector, reserved)
    cloud.forget(volume, reserved)
    return str(refused.value)


def test_clone_is_refused_by_an_error_that_says_all_and_the_first_goes_on(cloud):
    volume = cloud.volume()
    first = cloud.attach(volume, NOVA)
    said = _refused(cloud, volume)
    for word in ("compute1", "compute9", A["initiator"], ONE, TWO, "iscsi-iname"):
        assert word in said
    assert "Nothing was changed" in said
    assert first.session.alive
    assert first.writes()
    assert cloud.connect(volume, NOVA, first).writes()
    cloud.detach(volume, first)
    assert cloud.attach(volume, CLONE).writes()


@pytest.mark.parametrize("upper", [False, True])
def test_clone_is_refused_in_any_case_of_its_name(cloud, upper):
    volume = cloud.volume()
    cloud.attach(volume, NOVA)
    name = CLONE["initiator"].upper() if upper else CLONE["initiator"]
    assert "compute9" in _refused(cloud, volume, CLONE | {"initiator": name})


def test_clone_is_refused_before_any_row_shows_the_first(cloud):
    volume = cloud.volume()
    cloud.reserve(volume)
    first = cloud.connect_only(cloud.load(volume), NOVA)
    cloud.restart_driver()
    with pytest.raises(exception.VolumeBackendAPIException, match="compute1"):
        cloud.connect_only(cloud.load(volume), CLONE)
    assert first.alive


def test_clone_is_refused_after_the_driver_lost_its_record(cloud):
    volume = cloud.volume()
    first = cloud.attach(volume, NOVA)
    cloud.record(volume).unlink()
    cloud.restart_driver()
    assert "compute1" in _refused(cloud, volume)
    assert first.session.alive


def test_of_two_clones_at_once_one_gets_in(cloud):
    volume = cloud.volume()
    reserved = [cloud.reserve(volume) for _ in range(2)]
    failed = []

    def connect(connector, attached):
        try:
            cloud.connect(volume, connector, attached)
        except exception.VolumeBackendAPIException as error:
            failed.append(error)

    in_threads(lambda: connect(NOVA, reserved[0]), lambda: connect(CLONE, reserved[1]))
    assert len(failed) == 1
    (first,) = [attached for attached in reserved if attached.session]
    assert first.writes()


def test_services_of_one_machine_may_give_it_different_names(cloud):
    volume = cloud.volume()
    server = cloud.attach(volume, NOVA)
    backup = cloud.connect_only(cloud.load(volume), CINDER)
    assert (server.session.alive, backup.alive) == (True, True)
    cloud.manager.terminate_connection(cloud.context, volume, dict(CINDER))
    assert server.session.alive


def test_connectors_that_say_little_are_believed(cloud):
    volume = cloud.volume()
    first = cloud.attach(volume, A)
    assert cloud.attach(volume, {"initiator": A["initiator"], "host": "b"}).writes()
    assert first.session.alive


def test_clone_is_not_given_what_its_original_was_cut_off_with(cloud):
    volume = cloud.volume()
    first = cloud.attach(volume, NOVA)
    cloud.detach(volume, first)  # and nobody logged it out
    clone = cloud.attach(volume, CLONE)
    assert clone.information["auth_password"] != first.information["auth_password"]
