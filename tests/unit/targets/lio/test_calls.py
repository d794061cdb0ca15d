# SPDX-License-Identifier: Apache-2.0
"""Steps and states cross to the privileged process whole."""

import inspect

from taikun_cinder.access.model import Credentials, Initiator, Portal
from taikun_cinder.privsep import cipher, lio
from taikun_cinder.targets.lio import answers, steps
from taikun_cinder.targets.lio.states import AclState

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
    for step in steps.Step.__subclasses__():
        fields = inspect.signature(step).parameters
        name, *arguments = step(**{field: VALUES[field] for field in fields}).call
        _, checks = lio.CHANGES[name]
        assert len(arguments) == len(checks)
        assert all(isinstance(value, str | int | bool) for value in arguments)


def test_acl_written_in_capitals_counts_as_one_that_lets_nobody_in():
    key = cipher.new_key()
    upper = str(A).upper()
    acl = {
        "credentials": ("user", cipher.encrypt("password", key, upper)),
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
    found = answers.state("iqn.2010-10.org.openstack:volume-1", plain, key)
    assert found.acls == {A: AclState()}
