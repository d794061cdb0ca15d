# SPDX-License-Identifier: Apache-2.0
"""The calls before which the crash walk kills are there, whatever was renamed."""

import importlib
import operator

import pytest

from tests.lab.guest.points import CALLS


@pytest.mark.parametrize(("module", "name"), CALLS)
def test_each_point_is_a_call(module, name):
    assert callable(operator.attrgetter(name)(importlib.import_module(module)))
