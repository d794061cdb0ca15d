# SPDX-License-Identifier: Apache-2.0
"""Which connectors are taken, and what the others are told."""

import pytest
from cinder.exception import InvalidConnectorException

from taikun_cinder import connectors
from taikun_cinder.access.model import Initiator
from taikun_cinder.targets.lio import iscsi

GOOD = [
    "iqn.2026-11.com.example:host",
    "iqn.1993-08.org.debian:01:5f9d6fa3b4c",
    "IQN.2026-11.COM.EXAMPLE:HOST",
    "naa.52004567ba64678d",
    "eui.02004567a425678d",
    "eui.02004567A425678D",
]
BAD = [
    "iqn.bad",
    "iqn.2026-11.com.example:with_underscore",
    "iqn.2026-11.com.example:with blank",
    " iqn.2026-11.com.example:host",
    "iqn.2026-11.com.example:host\n",
    "iqn.2026-11.com.example:a\nb",
    "iqn.2026-11.com.example:../../../x",
    "iqn.2026-11.com.example:" + "x" * 200,
    "0x52004567ba64678d",
    "naa.123",
    "eui.xyz",
    "notreal",
    42,
    ["iqn.2026-11.com.example:host"],
]


@pytest.mark.parametrize("name", GOOD)
def test_name_that_lio_takes_is_taken(name):
    found = iscsi.initiator({"host": "h", "initiator": name})
    assert found == Initiator(name)


@pytest.mark.parametrize("name", BAD)
def test_name_that_lio_would_refuse_or_mend_is_refused(name):
    with pytest.raises(InvalidConnectorException) as refused:
        iscsi.initiator({"host": "compute7", "initiator": name})
    for words in ("compute7", repr(name), "initiatorname.iscsi", "Nothing was changed"):
        assert words in str(refused.value)


@pytest.mark.parametrize(
    "connector", [{}, {"initiator": None}, {"initiator": ""}, None, "connector"]
)
def test_connector_without_an_initiator_is_refused(connector):
    with pytest.raises(InvalidConnectorException, match="no 'initiator'"):
        iscsi.initiator(connector)
    with pytest.raises(InvalidConnectorException, match="Volume some-id"):
        connectors.initiator_to_detach("some-id", connector, "initiator")


@pytest.mark.parametrize("name", [*GOOD, "iqn.fake"])
def test_any_name_can_be_detached(name):
    found = connectors.initiator_to_detach("some-id", {"initiator": name}, "initiator")
    assert found == Initiator(name)


def test_host_is_named_by_its_address_if_it_has_no_name():
    assert connectors.host_of({"ip": "192.0.2.1"}) == "192.0.2.1"
