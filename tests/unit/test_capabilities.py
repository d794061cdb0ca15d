# SPDX-License-Identifier: Apache-2.0
"""What the scheduler and an operator are told of a back end."""

import pytest
from cinder.scheduler.filters.capabilities_filter import CapabilitiesFilter

from taikun_cinder import extra_specs, opts


@pytest.mark.options(taikun_secondary_mode="ro")
def test_get_capabilities_shows_each_extra_spec_with_what_it_may_be(cloud):
    cloud.driver.init_capabilities()
    shown = cloud.driver.capabilities
    assert shown["vendor_prefix"] == "taikun"
    mode = shown["properties"]["taikun:secondary_mode"]
    assert mode["type"] == "string"
    assert mode["enum"] == ("rw", "ro", "deny")
    assert mode["default"] == "ro"
    assert "another one has the volume" in mode["description"]
    hosts = shown["properties"]["taikun:max_hosts"]
    assert (hosts["type"], hosts["default"]) == ("integer", 0)


def test_option_that_an_extra_spec_names_is_one_of_the_back_end():
    options = {option.name for option in opts.BACKEND_OPTS}
    named = {spec.option for spec in extra_specs.SPECS.values() if spec.option}
    assert named <= options


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
    monkeypatch.setattr("taikun_cinder.database.volumes_of", lambda *a, **k: [])
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
