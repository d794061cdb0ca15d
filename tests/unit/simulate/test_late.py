# SPDX-License-Identifier: Apache-2.0
"""A change that hangs in the kernel is done, and nothing that was to come after it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def told():
    """Give what came of it, by what happened meanwhile."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.unit.simulate.late"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("how", "change"),
    [("nothing", "StepUnfinished"), ("kill", "LostError"), ("client", None)],
)
def test_target_is_busy_until_it_has_come_back(told, how, change):
    """The process keeps its files as long as one of its threads is in the kernel."""
    assert told[how].get("change") == change
    assert told[how]["meanwhile"] == "busy"
    has_target, has_tpg = told[how]["afterwards"]
    assert has_target
    assert not has_tpg


def test_it_ends_with_the_power(told):
    assert told["power"] == {"meanwhile": [False, False], "afterwards": [False, False]}
