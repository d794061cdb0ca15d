# SPDX-License-Identifier: Apache-2.0
"""Each step can be asked for from the privileged process."""

import inspect

from taikun_cinder.access.model import Credentials, Initiator, Portal
from taikun_cinder.privsep import lio
from taikun_cinder.targets.lio import steps

VALUES = {
    "device": "/dev/vg/volume",
    "serial": "0123",
    "tag": 2,
    "name": "authentication",
    "value": 1,
    "index": 0,
    "portal": Portal("::1"),
    "initiator": Initiator("iqn.2026-11.com.example:a"),
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
