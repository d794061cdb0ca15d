# SPDX-License-Identifier: Apache-2.0
"""The calls before which the crash walk kills are there, and told well."""

import importlib
import operator

import pytest

from tests.lab.guest import points


@pytest.mark.parametrize(("module", "name"), points.CALLS)
def test_each_point_is_a_call(module, name):
    assert callable(operator.attrgetter(name)(importlib.import_module(module)))


def test_a_point_is_told_by_its_path_and_by_no_value():
    folder = "/sys/kernel/config/target/core/iblock_7/iqn.2010:volume-a-readers"
    assert points._what((f"{folder}/control", "/dev/x")) == "a-readers/control"
    assert "secret" not in points._what(("secret",))
