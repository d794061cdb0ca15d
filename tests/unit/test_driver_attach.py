# SPDX-License-Identifier: Apache-2.0
"""A failed attach harms nobody (law 1), and bad input changes nothing (law 8)."""

import pytest
from cinder import exception

from tests.unit.cloud import A, B, Host

C = Host("compute3").connector


def test_failed_second_attach_keeps_the_export_of_attached_hosts(cloud, log):
    volume = cloud.volume()
    first = cloud.attach(volume, A)
    cloud.target.fails_for.add(B["initiator"])
    with pytest.raises(exception.VolumeBackendAPIException):
        cloud.attach(volume, B)
    assert first.session.alive
    assert f"{volume} is kept" in log.text
    assert "attached to iqn.2026-11.com.example:compute1" in log.text


def test_malformed_initiator_changes_nothing_and_says_what_to_do(cloud):
    volume = cloud.volume()
    first = cloud.attach(volume, A)
    with pytest.raises(exception.InvalidInput, match=r"compute2.*'iqn\.bad'.*iscsi-"):
        cloud.attach(volume, B | {"initiator": "iqn.bad"})
    assert first.session.alive
    assert cloud.acls(volume) == {A["initiator"]}


def test_malformed_initiator_makes_no_export(cloud):
    volume = cloud.volume()
    with pytest.raises(exception.InvalidInput):
        cloud.attach(volume, B | {"initiator": "iqn.bad"})
    assert cloud.acls(volume) is None


def test_attach_that_cinder_did_not_validate_makes_no_export_either(cloud):
    volume = cloud.volume()
    with pytest.raises(exception.InvalidConnectorException):
        cloud.driver.create_export(
            cloud.context, cloud.load(volume), B | {"initiator": "iqn.bad"}
        )
    assert cloud.acls(volume) is None


def test_failed_only_attach_leaves_no_export(cloud):
    volume = cloud.volume()
    cloud.target.fails_for.add(A["initiator"])
    with pytest.raises(exception.VolumeBackendAPIException):
        cloud.attach(volume, A)
    assert cloud.acls(volume) is None


def test_failed_attach_keeps_a_connection_whose_attachment_is_not_written(cloud):
    volume = cloud.volume()
    cloud.reserve(volume)
    loaded = cloud.load(volume)
    loaded.update(cloud.driver.create_export(cloud.context, loaded, A))
    loaded.save()
    answer = cloud.driver.initialize_connection(loaded, dict(A))
    session = cloud.target.log_in(loaded, A, answer["data"])
    cloud.target.fails_for.add(B["initiator"])
    with pytest.raises(exception.VolumeBackendAPIException):
        cloud.attach(volume, B)
    assert session.alive


def test_attach_whose_answer_was_lost_ends_when_no_row_can_be_its_own(cloud):
    volume = cloud.volume()
    other = cloud.attach(volume, B)
    rows = [cloud.reserve(volume) for _ in range(2)]
    loaded = cloud.load(volume)
    lost = cloud.driver.initialize_connection(loaded, dict(A))
    session = cloud.target.log_in(loaded, A, lost["data"])
    # It may be either server's, whatever becomes of the other one.
    cloud.connect(volume, C, rows[1])
    for _ in range(10):
        cloud.wait(600)
        cloud.reconcile()
    assert session.alive
    first = cloud.connect(volume, A, rows[0])
    cloud.detach(volume, first)
    for _ in range(3):
        cloud.wait(600)
        cloud.reconcile()
    assert cloud.acls(volume) == {B["initiator"], C["initiator"]}
    assert other.session.alive
