# SPDX-License-Identifier: Apache-2.0
"""Workers' logs, nodes' clocks and what a sector has, as operations."""

import json
import math

import pytest

from tests.chaos import sectors
from tests.chaos.guest import worker
from tests.chaos.history import BLANK, Block, value, writer
from tests.chaos.logs import Clock, operations

CLOCK = Clock(least=99.9, most=100.1)


def _logged(tmp_path, *lines):
    path = tmp_path / "log"
    path.write_text("\n".join(lines))
    return list(operations(path, "a", "volume", CLOCK))


def test_log_of_a_worker_is_read_and_its_times_are_made_longer(tmp_path):
    lines = [
        json.dumps({"block": 3, "wrote": "a/0", "at": 1}),
        json.dumps({"at": 2, "read": None, "error": None}),
        json.dumps({"block": 4, "wrote": None, "at": 3}),
        json.dumps({"at": 4, "read": "b/7", "error": None}),
        json.dumps({"block": 5, "wrote": "a/1", "at": 5}),
        json.dumps({"at": 6, "read": None, "error": "Input/output error"}),
    ]
    first, second, third = _logged(tmp_path, *lines)
    assert (first.invoked, first.completed) == pytest.approx((100.9, 102.1))
    assert (first.block, first.wrote, first.read) == (Block("volume", 3), "a/0", None)
    assert (second.wrote, second.read) == (None, "b/7")
    # The kernel says that it failed; the write may still arrive.
    assert (third.completed, third.failed) == (math.inf, False)


@pytest.mark.parametrize("tail", [[], ["", "x"], ['{"at": 2, "re']])
def test_last_operation_of_a_killed_worker_has_no_end(tmp_path, tail):
    begun = json.dumps({"block": 3, "wrote": "a/0", "at": 1})
    (only,) = _logged(tmp_path, begun, *tail)
    assert only.completed == math.inf


def test_worker_that_was_not_started_has_done_nothing(tmp_path):
    assert list(operations(tmp_path / "no", "a", "volume", CLOCK)) == []


def test_clock_is_known_as_well_as_the_quickest_answer_tells():
    now = iter([0.0, 0.4, 1.0, 1.01, 2.0, 2.4])
    there = iter([-99.8, -98.995, -97.9])
    clock = Clock.compare(lambda: next(there), lambda: next(now), times=3)
    assert (clock.least, clock.most) == pytest.approx((99.995, 100.005))


@pytest.mark.parametrize("text", ["a/0", value("0" * 36, 10**9)])
def test_sector_is_full_of_a_value(text):
    sector = sectors.fill(text)
    assert len(sector) == sectors.SIZE
    assert sectors.value(sector) == text
    assert sectors.value(bytes(sectors.SIZE)) == BLANK


@pytest.mark.parametrize("at", [1, 40, 256, 511])
def test_torn_sector_has_a_value_that_nobody_wrote(at):
    torn = sectors.fill("a/1")[:at] + sectors.fill("b/22")[at:]
    assert sectors.value(torn).startswith("torn")
    assert sectors.value(torn[:at] + bytes(512 - at)).startswith("torn")
    assert sectors.value(b"\n" * 512).startswith("torn")


def test_value_that_would_not_show_where_it_is_torn_is_refused():
    with pytest.raises(ValueError, match="too long"):
        sectors.fill("x" * 300)


def test_value_names_its_writer():
    assert writer(value("attachment", 7)) == "attachment"


def test_worker_writes_and_reads_and_logs_it(tmp_path, monkeypatch):
    """It runs here as on a host, but for its disk, which is a file."""
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(4096 * 4))
    monkeypatch.setattr(worker, "FOLDER", tmp_path)
    monkeypatch.setattr(worker, "NOTE", str(tmp_path / "{name}.{what}"))
    paused = []

    def pause(seconds):
        paused.append(seconds)
        if len(paused) == 50:
            (tmp_path / "w.stop").touch()

    monkeypatch.setattr("time.sleep", pause)
    worker.work(worker.Task(str(disk), "a", 4, 0.5, 0.0, seed=1), "w")
    done = list(operations(tmp_path / "w.log", "a", "volume", CLOCK))
    assert len(done) == 50
    has = {}
    for one in done:
        assert one.acknowledged
        if one.wrote is not None:
            has[one.block] = one.wrote
        else:
            assert one.read == has.get(one.block, BLANK)
    assert len(has) == 4
