# SPDX-License-Identifier: Apache-2.0
"""Puts this driver in the place of Cinder's LVM driver, for Cinder's own tests.

Cinder's tests name the driver that they test, and the one that they run the manager
with is made of it (cinder.tests.fake_driver). So its name is given to a subclass of
ours. That has a target in memory, and an option that a test made a mock of has its
default.

What cannot hold is in ``CANNOT_HOLD``, each with its reason. It must fail: when it
passes, it has no place there any more.
"""

import sys
import tempfile
import types
from pathlib import Path
from typing import Any
from unittest import mock

from cinder import objects

objects.register_all()  # Cinder's modules name its objects as they load

import pytest  # noqa: E402
from cinder.common import config  # noqa: E402, F401 - registers Cinder's options
from cinder.tests.unit import test  # noqa: E402
from cinder.volume import drivers  # noqa: E402
from cinder.volume.drivers import lvm  # noqa: E402

from taikun_cinder import driver, opts, preflight, targets  # noqa: E402
from tests.unit.memory import MemoryTarget  # noqa: E402
from tests.upstream.cannot_hold import CANNOT_HOLD  # noqa: E402

#: The options that tests make mocks of, beside ours.
_DEFAULTS = {
    "volume_group": "cinder-volumes",
    "target_prefix": "iqn.2010-10.org.openstack:",
    "target_ip_address": "192.0.2.11",
    "target_secondary_ip_addresses": [],
    "target_port": 3260,
    "report_discard_supported": False,
    **{option.name: option.default for option in opts.BACKEND_OPTS},
}

_STATE = Path(tempfile.mkdtemp(prefix="taikun-upstream-"))


class _Options:
    """A back end's options, with defaults for those that are mocks."""

    def __init__(self, configuration: Any) -> None:
        self._configuration = configuration

    def __getattr__(self, name: str) -> Any:
        if name == "taikun_state_path":
            return str(_STATE)
        value = getattr(self._configuration, name)
        if isinstance(value, mock.Mock) and name in _DEFAULTS:
            return _DEFAULTS[name]
        return value


class Ours(driver.MultiattachLVMDriver):
    """This driver, as Cinder's tests can make it."""

    def __init__(self, vg_obj: Any = None, *args: Any, **named: Any) -> None:
        configuration = named.pop("configuration")
        if not isinstance(configuration, mock.Mock):
            configuration.append_config_values(opts.BACKEND_OPTS)
        super().__init__(vg_obj, *args, configuration=_Options(configuration), **named)
        self.configuration = configuration


class _Module(types.ModuleType):
    """Cinder's module of the LVM driver, with our class under the driver's name.

    The real module must keep its own, which its methods call their parents by.
    """

    LVMVolumeDriver = Ours

    def __getattr__(self, name: str) -> Any:
        return getattr(lvm, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(lvm, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(lvm, name)


def pytest_configure() -> None:
    """Take the in-tree driver's place before any of Cinder's tests is loaded."""
    for owner, name, mine in (
        (preflight, "refuse_configuration", lambda *_: None),
        (preflight, "refuse_node", lambda *_: None),
        (targets, "of", lambda _configuration: MemoryTarget()),
    ):
        setattr(owner, name, mine)
    sys.modules[lvm.__name__] = drivers.lvm = _Module(lvm.__name__)
    # Cinder's tests clear themselves at their end, also of what pytest then takes away.
    test.TestCase.__delattr__ = lambda self, name: self.__dict__.pop(name, None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Expect those to fail that cannot hold."""
    for item in items:
        name = "::".join(item.nodeid.split("::")[-2:])
        if reason := CANNOT_HOLD.get(name):
            item.add_marker(pytest.mark.xfail(reason=reason, strict=True))
