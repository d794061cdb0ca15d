# SPDX-License-Identifier: Apache-2.0
"""The host that a connector names when its access ends."""

import pytest
from cinder.exception import InvalidConnectorException

from taikun_cinder import connectors
from taikun_cinder.access.model import Initiator
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
