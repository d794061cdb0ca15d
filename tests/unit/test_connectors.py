# SPDX-License-Identifier: Apache-2.0
"""The host that a connector names when its access ends."""

import pytest
from cinder.exception import InvalidConnectorException, InvalidInput

from taikun_cinder import connectors
from taikun_cinder.access.model import Initiator
from tests.unit.cloud import Host
from tests.unit.targets.lio.test_iscsi import GOOD, NAMELESS


@pytest.mark.parametrize("connector", NAMELESS)
def test_connector_without_an_initiator_ends_nothing(connector):
    with pytest.raises(InvalidConnectorException, match="Volume some-id"):
        connectors.initiator_to_detach("some-id", connector, "initiator")


@pytest.mark.parametrize("name", [*GOOD, "iqn.fake"])
def test_any_name_can_be_detached(name):
    found = connectors.initiator_to_detach("some-id", {"initiator": name}, "initiator")
    assert found == Initiator(name)


def test_host_is_named_by_its_address_if_it_has_no_name():
    assert connectors.host_of({"ip": "192.0.2.1"}) == "192.0.2.1"


@pytest.mark.parametrize("key", ["host", "mountpoint"])
@pytest.mark.parametrize("text", ["a" * 256, "a\0", "\ud800", "\U0001f600", 7, {}])
def test_what_no_column_of_cinders_can_keep_is_refused(key, text):
    connector = {"initiator": "iqn.2026-11.com.example:a", key: text}
    with pytest.raises(InvalidConnectorException, match=f"'{key}'"):
        connectors.check(connector)


def test_a_connector_that_is_too_long_as_a_whole_is_refused():
    with pytest.raises(InvalidConnectorException, match="longer than 60000 bytes"):
        connectors.check({"host": "a", "more": ["b" * 1000] * 60})


@pytest.mark.parametrize(
    "connector",
    [
        {},
        {"host": None, "mountpoint": None},
        {"host": "höst", "mountpoint": "a" * 255},
        {"host": "a\u00a0b", "mountpoint": "a\n"},
    ],
)
def test_what_cinder_can_keep_is_not_refused(connector):
    connectors.check(connector)


def test_a_connector_that_cinder_could_not_keep_lets_nobody_in(cloud):
    volume = cloud.volume()
    with pytest.raises(InvalidInput, match="mountpoint"):
        cloud.attach(volume, Host("a").connector | {"mountpoint": "/dev/" + "a" * 251})
    assert cloud.acls(volume) is None
