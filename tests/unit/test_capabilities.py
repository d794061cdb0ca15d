# SPDX-License-Identifier: Apache-2.0
"""The capabilities that a back end reports to the scheduler."""

import pytest
from cinder.scheduler.filters.capabilities_filter import CapabilitiesFilter


@pytest.mark.parametrize(
    "asked", ["multiattach", "read_only_enforced", "persistent_reservations"]
)
def test_stock_filter_matches_what_a_pool_says(cloud, asked):
    (pool,) = cloud.driver.get_volume_stats(True)["pools"]
    matches = CapabilitiesFilter()._satisfies_extra_specs
    for value, passes in (("True", True), ("False", False)):
        request = {"resource_type": {"extra_specs": {asked: f"<is> {value}"}}}
        assert matches(pool, request) is passes


@pytest.mark.parametrize(
    ("options", "hosts", "volumes"),
    [
        ({}, "infinity", "infinity"),
        ({"taikun_max_hosts": 2, "taikun_max_multiattach_volumes": 5}, 2, 5),
    ],
)
def test_a_type_can_ask_for_as_many_hosts_and_as_much_room_as_it_needs(
    make_driver, monkeypatch, options, hosts, volumes
):
    monkeypatch.setattr("taikun_cinder.database.count_volumes", lambda *a, **k: 0)
    (pool,) = make_driver(**options).get_volume_stats(True)["pools"]
    assert pool["hosts_per_volume"] == hosts
    assert pool["multiattach_volumes_left"] == volumes
    matches = CapabilitiesFilter()._satisfies_extra_specs
    for asked, there in (
        ("hosts_per_volume", hosts),
        ("multiattach_volumes_left", volumes),
    ):
        for wanted in (1, 4, 1000):
            request = {"resource_type": {"extra_specs": {asked: f">= {wanted}"}}}
            assert matches(pool, request) is (float(there) >= wanted)


@pytest.mark.options(taikun_max_multiattach_volumes=2)
def test_pool_says_how_many_multiattach_volumes_it_has_room_for(cloud):
    for left in (2, 1, 0, 0):
        (pool,) = cloud.driver.get_volume_stats(True)["pools"]
        assert pool["multiattach_volumes_left"] == left
        cloud.volume()
        cloud.volume(multiattach=False)


@pytest.mark.options(taikun_multiattach_only=True)
def test_pool_says_that_it_is_kept_for_multiattach_volumes(cloud):
    (pool,) = cloud.driver.get_volume_stats(True)["pools"]
    assert pool["multiattach_only"] is True
