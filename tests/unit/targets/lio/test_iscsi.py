# SPDX-License-Identifier: Apache-2.0
"""The initiators that connectors name: what LIO takes, and what is refused."""

import pytest
from cinder.exception import InvalidConnectorException

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
#: Connectors that name no initiator.
NAMELESS = [{}, {"initiator": None}, {"initiator": ""}, None, "connector"]


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


@pytest.mark.parametrize("connector", NAMELESS)
def test_connector_without_an_initiator_is_refused(connector):
    with pytest.raises(InvalidConnectorException, match="no 'initiator'"):
        iscsi.initiator(connector)
