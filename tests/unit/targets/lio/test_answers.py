# SPDX-License-Identifier: Apache-2.0
"""The states that the privileged process tells, read from its plain values."""

from taikun_cinder.access.model import Initiator
from taikun_cinder.privsep import cipher
from taikun_cinder.targets.lio import answers
from taikun_cinder.targets.lio.states import AclState

A = Initiator("iqn.2026-11.com.example:a")


def test_acl_written_in_capitals_counts_as_one_that_lets_nobody_in():
    key = cipher.new_key()
    upper = str(A).upper()
    acl = {
        "credentials": ("user", cipher.digest("password", key, upper)),
        "mapped": {0: (0, False)},
        "session": False,
    }
    plain = {
        "backstore": None,
        "readers": None,
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
