# SPDX-License-Identifier: Apache-2.0
"""The initiators that connectors name, and what their hosts are told."""

import pytest
from cinder.exception import InvalidConnectorException
from hypothesis import example, given
from hypothesis import strategies as st
from rtslib_fb import utils

from taikun_cinder.access.model import (
    Credentials,
    Grant,
    Initiator,
    Mode,
    Portal,
    Told,
)
from taikun_cinder.privsep import checks
from taikun_cinder.targets.lio import iscsi
from taikun_cinder.targets.lio.target import LioTarget

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
    "iqn.2026-11.com.exämple:host",
    "İqn.2026-11.com.example:host",
    "iqn.2026-11.com.example:\N{KELVIN SIGN}",  # its small letter is an ASCII k
    "iqn.2026-11.com.example:\x7f",
    "iqn.2026-11.com.example:a\u200b",
    "iqn.2026-11.com.example:\ud800",
    "iqn.2026-11.com.example:a/b",
    "iqn.2026-11.com",
    "iqn.2026-21.com.example:host",
    "iqn.2026-1.com.example:host",
    "iqn.\u0662\u0660\u0662\u0666-11.com.example:host",  # digits, and no ASCII
    "naa.52004567BA64678D0",
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


def _taken(function, *arguments):
    try:
        function(*arguments)
    except (ValueError, InvalidConnectorException, utils.RTSLibError):
        return False
    return True


_starts = st.sampled_from(["iqn.2026-11.com.example:", "naa.5", "eui.0", "iqn.", ""])
_rests = st.text() | st.from_regex(r"[0-9A-Fa-f]{14,16}", fullmatch=True)
_names = st.one_of(
    st.sampled_from([*GOOD, *(name for name in BAD if isinstance(name, str))]),
    st.builds(str.__add__, _starts, _rests),
    st.builds(str.__add__, _starts, st.text(st.characters(max_codepoint=0x17F))),
)


@given(_names)
@example("iqn.2026-11.com.example:" + "x" * 199)
@example("iqn.2026-11.com.example:" + "x" * 200)
def test_name_is_taken_here_if_and_only_if_the_privileged_process_takes_it(name):
    taken = _taken(iscsi.initiator, {"initiator": name})
    if taken:
        assert _taken(checks.initiator, Initiator(name).name)
        # And the in-tree driver would know the same host.
        assert utils.normalize_wwn(("iqn", "naa", "eui"), name)[0] == name.lower()
    elif name == name.lower():
        assert not _taken(checks.initiator, name)


_THERE = Portal("192.0.2.1"), Portal("192.0.2.2", 860), Portal("2001:db8::1")


@pytest.mark.parametrize(
    ("data", "where"),
    [
        ({}, None),
        ({"target_iqn": ""}, None),
        ({"target_portal": str(_THERE[0])}, None),
        ({"target_iqn": "iqn.x:1"}, Told("iqn.x:1", frozenset())),
        (
            {"target_iqn": "iqn.x:1", "target_portal": str(_THERE[1])},
            Told("iqn.x:1", frozenset(_THERE[1:2])),
        ),
        (
            {
                "target_iqn": "iqn.x:1",
                "target_portal": str(_THERE[0]),
                "target_portals": [str(_THERE[1]), str(_THERE[2])],
            },
            Told("iqn.x:1", frozenset(_THERE)),
        ),
        (
            {
                "target_iqn": "iqn.x:1",
                "target_portal": "192.0.2.1",
                "target_portals": ["192.0.2.2:port", None, 7, str(_THERE[2])],
            },
            Told("iqn.x:1", frozenset(_THERE[2:])),
        ),
        (
            {"target_iqn": "iqn.x:1", "target_portals": "192.0.2.2:860"},
            Told("iqn.x:1", frozenset()),
        ),
    ],
)
def test_place_that_a_host_was_told_is_read_from_its_connection(data, where):
    assert iscsi.told(data) == where


def test_refused_initiator_is_told_with_its_host_and_protocol():
    connector = {"host": "compute1", "initiator": "iqn.bad"}
    with pytest.raises(InvalidConnectorException, match=r"\biSCSI\b") as told:
        iscsi.initiator(connector)
    assert "compute1" in str(told.value)


@pytest.mark.parametrize("portals", [_THERE[:1], _THERE[:2], _THERE])
@pytest.mark.parametrize("multipath", [False, True])
@pytest.mark.parametrize("readers_disk", [False, True])
def test_host_is_told_how_to_connect(portals, multipath, readers_disk):
    grant = Grant(
        Initiator("iqn.2026-11.com.example:a"),
        Credentials("user", "password"),
        None if readers_disk else Mode.RW,
        readers_disk,
    )
    told = LioTarget().connection(
        "iqn.x:1",
        portals,
        grant,
        readers_disk=readers_disk,
        multipath=multipath,
    )
    lun = 1 if readers_disk else 0
    data = {
        "target_discovered": False,
        "target_portal": "192.0.2.1:3260",
        "target_iqn": "iqn.x:1",
        "target_lun": lun,
        "auth_method": "CHAP",
        "auth_username": "user",
        "auth_password": "password",
    }
    if multipath or len(portals) > 1:
        data |= {
            "target_portals": [str(one) for one in portals],
            "target_iqns": ["iqn.x:1"] * len(portals),
            "target_luns": [lun] * len(portals),
        }
    assert told == ("iscsi", data)


def test_location_is_as_cinders_own():
    there = LioTarget().location("iqn.x:1", _THERE[:2])
    assert there == "192.0.2.1:3260;192.0.2.2:860,iqn.x:1 iqn.x:1 0"
