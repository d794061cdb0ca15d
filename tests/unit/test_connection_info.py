# SPDX-License-Identifier: Apache-2.0
"""The location that Cinder keeps is what the in-tree driver would have written."""

import pytest
from cinder.volume.targets import lio

from taikun_cinder import connection_info
from taikun_cinder.layout import Layout
from taikun_cinder.targets.lio.target import LioTarget

VOLUME = {"id": "0a1b", "name": "volume-0a1b"}
TARGET = "iqn.2010-10.org.openstack:volume-0a1b"


def _in_tree(conf):
    """Give the location by Cinder's own code, less what only a node could answer."""
    target = object.__new__(lio.LioAdm)
    target.configuration = conf
    target.create_iscsi_target = lambda name, *args, **named: name
    target._get_target_chap_auth = lambda context, volume: ("name", "password")
    return target.create_export(None, VOLUME, "/dev/vg/volume-0a1b")["location"]


def _location(conf):
    update = connection_info.model_update(LioTarget(), Layout.of(conf), TARGET)
    return update["provider_location"]


@pytest.mark.parametrize(
    ("primary", "secondary", "port", "portals"),
    [
        ("192.0.2.11", [], 3260, "192.0.2.11:3260"),
        ("192.0.2.11", ["192.0.2.12"], 3261, "192.0.2.11:3261;192.0.2.12:3261"),
        ("2001:db8::11", [], 3260, "[2001:db8::11]:3260"),
        ("[2001:db8::11]", [], 3260, "[2001:db8::11]:3260"),
        (
            "2001:db8::11",
            ["192.0.2.11", "[2001:db8::12]"],
            860,
            "[2001:db8::11]:860;192.0.2.11:860;[2001:db8::12]:860",
        ),
    ],
)
def test_location_is_the_one_that_the_in_tree_driver_writes(
    configure, primary, secondary, port, portals
):
    conf = configure(
        target_ip_address=primary,
        target_secondary_ip_addresses=secondary,
        target_port=port,
    )
    location = _location(conf)
    assert location == f"{portals},{TARGET} {TARGET} 0"
    assert location == _in_tree(conf)


def test_address_is_told_in_the_form_that_hosts_show_their_sessions_in(configure):
    conf = configure(target_ip_address="2001:DB8:0:0::0011")
    assert _location(conf).startswith("[2001:db8::11]:3260,")
