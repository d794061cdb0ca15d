# SPDX-License-Identifier: Apache-2.0
"""Steps and states cross to the privileged process whole."""

import typing

from taikun_cinder.access import steps
from taikun_cinder.access.model import Credentials, Initiator, Portal
from taikun_cinder.access.observed import ObservedAcl
from taikun_cinder.privsep import lio, seal
from taikun_cinder.targets import lio_calls

A = Initiator("iqn.2026-11.com.example:a")
VALUES = {
    "device": "/dev/vg/volume",
    "serial": "0123",
    "tag": 2,
    "name": "authentication",
    "value": 1,
    "index": 0,
    "portal": Portal("::1"),
    "initiator": A,
    "credentials": Credentials("user", "password"),
    "write_protect": True,
}


def test_every_step_can_be_asked_for():
    for kind in typing.get_args(steps.Step):
        fields = kind.__dataclass_fields__
        name, *arguments = lio_calls.call(kind(**{f: VALUES[f] for f in fields}))
        _, checks = lio.CHANGES[name]
        assert len(arguments) == len(checks)


def test_acl_written_in_capitals_counts_as_one_that_lets_nobody_in():
    key = seal.new_key()
    upper = str(A).upper()
    acl = {
        "credentials": ("user", seal.hide("password", key, upper)),
        "mapped": {0: (0, False)},
        "session": False,
    }
    plain = {
        "backstore": None,
        "target": {
            "other_tpgs": (),
            "tpg": {
                "enabled": True,
                "attributes": {},
                "luns": {},
                "portals": (("::1", 3260),),
                "acls": {upper: acl},
            },
        },
    }
    found = lio_calls.observed("iqn.2010-10.org.openstack:volume-1", plain, key)
    assert found.acls == {A: ObservedAcl()}
