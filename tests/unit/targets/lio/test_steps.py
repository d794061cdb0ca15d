# SPDX-License-Identifier: Apache-2.0
"""Each step can be asked for from the privileged process."""

import inspect

from taikun_cinder.access.model import Credentials, Initiator, Portal
from taikun_cinder.privsep import lio
from taikun_cinder.targets.lio import disk_steps, steps

VALUES = {
    "device": "/dev/vg/volume",
    "serial": "0123",
    "tag": 2,
    "name": "authentication",
    "refused": True,
    "discard": True,
    "value": 1,
    "index": 0,
    "portal": Portal("::1"),
    "initiator": Initiator("iqn.2026-11.com.example:a"),
    "credentials": Credentials("user", "password"),
    "write_protect": True,
}


def _steps():
    known = {**vars(steps), **vars(disk_steps)}
    kinds = [kind for kind in known.values() if inspect.isclass(kind)]
    found = [kind for kind in kinds if issubclass(kind, steps.Step)]
    return [step for step in found if not step.__subclasses__()]


def _values(step):
    values = (
        {**VALUES, "name": "emulate_caw"} if step is disk_steps.SetRefused else VALUES
    )
    return {field: values[field] for field in inspect.signature(step).parameters}


def test_every_step_can_be_asked_for():
    names = {step(**_values(step)).call[0] for step in _steps()}
    assert names == lio.CHANGES.keys()
    for step in _steps():
        name, *arguments = step(**_values(step)).call
        _, checks = lio.CHANGES[name]
        assert len(arguments) == len(checks)
        assert all(isinstance(value, str | int | bool) for value in arguments)
