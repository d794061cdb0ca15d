# SPDX-License-Identifier: Apache-2.0
"""One call at a time for each target: in all threads, in all processes, to its end."""

import contextlib
import subprocess
import sys
import time

import pytest

from taikun_cinder.privsep import backstores, turns
from taikun_cinder.privsep.refusal import Busy
from tests.contract.suite import A, grant
from tests.unit.privsep.node import names_of_backstores

NAME, OTHER = (f"iqn.2010-10.org.openstack:volume-{number}" for number in (1, 2))

_HOLDER = """
import sys, time
from pathlib import Path
from taikun_cinder.privsep import turns
turns.FILE = Path(sys.argv[1])
with turns.of_target(sys.argv[2], "test"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def file(tmp_path, monkeypatch):
    """Give the file that the turns are kept in."""
    path = tmp_path / "dbroot"
    path.touch()
    monkeypatch.setattr(turns, "FILE", path)
    monkeypatch.setattr(turns, "PATIENCE", 0.05)
    return path


def test_a_target_has_one_call_and_others_are_free():
    with turns.of_target(NAME, "remove acl"):
        with turns.of_target(OTHER, "read"), turns.of_hba("iblock_1"):
            pass
        with pytest.raises(Busy) as busy, turns.of_target(NAME, "read"):
            pass
        assert "remove acl" in str(busy.value)
    with turns.of_target(NAME, "read"):
        pass


def test_one_that_hangs_for_long_is_told_at_once(monkeypatch):
    with turns.of_target(NAME, "remove acl") as turn:
        turn.since -= 1000
        monkeypatch.setattr(turns, "PATIENCE", 30)
        start = time.monotonic()
        with pytest.raises(Busy, match="1000 s"), turns.of_target(NAME, "read"):
            pass
        assert time.monotonic() - start < 10


def test_the_turn_of_another_process_ends_with_it(file):
    command = [sys.executable, "-c", _HOLDER, str(file), NAME]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with (
            pytest.raises(Busy, match="another process"),
            turns.of_target(NAME, "read"),
        ):
            pass
        holder.kill()
    with turns.of_target(NAME, "read"):
        pass


def test_busy_survives_the_way_from_the_privileged_process():
    busy = Busy("remove acl", 3.0)
    assert str(Busy(*busy.args)) == str(busy)


def test_an_hba_that_is_being_changed_is_not_looked_into(lab):
    lab.ensure(lab.export(grant(A)))
    with lab.node.mounted():
        assert names_of_backstores() == [lab.name]
        hba = backstores.place(lab.name).split("/")[-2]
        with turns.of_hba(hba):
            assert names_of_backstores() == []
            assert next(backstores._named(lab.name), None) is None
        assert next(backstores._named(lab.name), None) is not None


def test_there_is_nothing_to_lock_where_there_is_no_lio(file):
    file.unlink()
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(turns.of_target(NAME, "read"))
        assert "iblock_1" not in stack.enter_context(turns.HbasAtWork())
