# SPDX-License-Identifier: Apache-2.0
"""The watch of a volume does not take the time of those that attach it."""

import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from oslo_db import exception as db_exception

from taikun_cinder import reconcile
from taikun_cinder.exception import StepUnfinished, TargetBusy

#: What a look takes where many attach at once, in seconds.
LOOK = 0.1


class _Time:
    """Stands for the module ``time``: what takes time is told, and takes none."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


class _Exports:
    """Shows the connection at the last of some looks."""

    def __init__(self, time: _Time, looks: int) -> None:
        self._time, self._looks = time, looks
        self.done = threading.Event()

    def refresh(self, _volume: Any) -> frozenset[str]:
        self._time.now += LOOK
        self._looks -= 1
        if self._looks:
            return frozenset({"connection"})
        self.done.set()
        return frozenset()


def test_the_longer_a_look_takes_the_fewer_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    time = _Time()
    monkeypatch.setattr(reconcile, "time", time)
    monkeypatch.setattr("cinder.coordination.COORDINATOR", _Started())
    exports: Any = _Exports(time, looks=3)
    watcher = reconcile.Reconcile(exports, list, frozenset)
    watcher.watch({"id": "volume"}, "connection")
    assert exports.done.wait(10)
    first, *later = time.pauses
    assert first < LOOK  # Cinder writes a connection down in a moment, as a rule
    assert len(later) == 2
    assert min(later) == pytest.approx(5 * LOOK)


class _Started:
    """Stands for Cinder's coordinator, which is stopped with its service."""

    started = True


def test_reconcile_ends_with_its_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "_LOOK", 0.01)
    service = _Started()
    monkeypatch.setattr("cinder.coordination.COORDINATOR", service)
    passed = threading.Event()

    class Volumes(reconcile.Reconcile):
        def once(self, *, confirmed: bool = False) -> int:
            passed.set()
            return 0

    nothing: Any = None
    periodic = Volumes(nothing, list, frozenset)
    periodic.start(3600)
    assert passed.wait(10)
    assert periodic._periodic is not None
    service.started = False
    periodic._periodic.join(10)
    assert not periodic._periodic.is_alive()


class _Sick:
    """Exports of which some do not come back."""

    def __init__(self, errors: dict[str, Exception]) -> None:
        self._errors = errors
        self.done: list[str] = []
        self.layout = SimpleNamespace(
            group="vg", prefix="iqn.", target=lambda volume: volume["id"]
        )
        self.target = SimpleNamespace(names=lambda prefix: frozenset())
        self.orphans = SimpleNamespace(find=lambda exported, known: frozenset())

    def former(self, *_looked_for: Any) -> list[Any]:
        return []

    def ensure(self, volume: Any, **_how: Any) -> None:
        if error := self._errors.get(volume["id"]):
            raise error
        self.done.append(volume["id"])


def test_busy_exports_are_left_for_later_in_one_line_and_the_others_are_done(
    log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cinder.coordination.COORDINATOR", _Started())
    exports: Any = _Sick(
        {
            "a": TargetBusy(target="iqn.a", cause="it hangs"),
            "c": StepUnfinished(target="iqn.c", step="s", cause="it hangs"),
        }
    )
    volumes: list[Any] = [
        {"id": name, "name_id": name, "status": "in-use"} for name in "abcd"
    ]
    once = reconcile.Reconcile(exports, lambda: volumes, lambda: "abcd").once
    once()
    assert exports.done == ["b", "d"]
    (told,) = log.records
    assert told.exc_info is None
    for word in ("2 exports", "volume a", "iqn.a", "volume c", "iqn.c"):
        assert word in told.getMessage()
    exports._errors.clear()
    once()
    assert exports.done == ["b", "d", *"abcd"]


#: What SQLAlchemy says: the query, with its values, follows.
_AWAY = "(pymysql.err.OperationalError) (2003, 'ECONNREFUSED')\n[SQL: SELECT secret]"


@pytest.mark.parametrize("where", ["the pass", "a volume", "a watched volume"])
def test_database_that_is_away_is_told_in_one_line(
    log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    service = _Started()
    monkeypatch.setattr("cinder.coordination.COORDINATOR", service)
    error = db_exception.DBConnectionError(_AWAY)
    looked = threading.Event()
    exports: Any = _Sick({"a": error} if where == "a volume" else {})

    def refresh(_volume: Any) -> frozenset[str]:
        looked.set()
        raise error

    def volumes() -> list[Any]:
        if where == "the pass":
            raise error
        return [{"id": "a", "name_id": "a", "status": "in-use"}]

    exports.refresh = refresh
    reconciler = reconcile.Reconcile(exports, volumes, lambda: "a")
    if where == "a watched volume":
        reconciler.watch({"id": "a"}, "connection")
        assert looked.wait(10)
        _wait_for(lambda: bool(log.records))
    else:
        monkeypatch.setattr(reconciler, "_look_beside", lambda: None)
        reconciler._run()
    (told,) = log.records
    assert told.exc_info is None
    assert "Cinder's database" in told.getMessage()
    assert "ECONNREFUSED" in told.getMessage()
    assert "SELECT" not in log.text


def test_other_failures_are_told_with_their_trace(
    log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cinder.coordination.COORDINATOR", _Started())
    exports: Any = _Sick({"a": KeyError("100%s")})
    volumes: list[Any] = [{"id": "a", "name_id": "a", "status": "in-use"}]
    reconcile.Reconcile(exports, lambda: volumes, lambda: "a").once()
    (told,) = log.records
    assert told.exc_info is not None
    assert "volume a" in told.getMessage()


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
