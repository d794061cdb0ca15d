# SPDX-License-Identifier: Apache-2.0
"""What becomes of a volume's lock when the back end of the locks dies."""

import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import tenacity
from tooz.coordination import ToozConnectionError

from taikun_cinder import locks
from taikun_cinder.exception import LocksDown

ID = "c0ffee00-0000-4000-8000-000000000001"
VOLUME = {"id": ID, "name_id": ID}


class _Lock:
    """A lock of a back end that may be down, as tooz's driver for etcd has them."""

    def __init__(self) -> None:
        self.is_down = False
        self.has_run_out = False
        self.is_held_by_another = False
        self.released = threading.Event()

    def acquire(self, blocking: bool | float = True) -> bool:
        if self.is_down:
            raise ToozConnectionError("")
        if self.is_held_by_another:
            raise tenacity.RetryError(tenacity.Future(1))
        return True

    def release(self) -> bool:
        if self.is_down:
            raise ToozConnectionError("")
        self.released.set()
        return not self.has_run_out


@pytest.fixture
def lock(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Lock]:
    lock = _Lock()
    coordinator: Any = SimpleNamespace(get_lock=lambda name: lock, started=True)
    monkeypatch.setattr("cinder.coordination.COORDINATOR", coordinator)
    monkeypatch.setattr(locks, "_PAUSE", 0.01)
    yield lock
    coordinator.started = False
    for thread in threading.enumerate():
        if thread.name == "taikun-release":
            thread.join(10)


def test_locks_that_nobody_gives_are_told_with_what_to_do(lock: _Lock) -> None:
    lock.is_down = True
    with (
        pytest.raises(LocksDown, match=r"v.*backend_url.*Error.*repeat"),
        locks.held("v"),
    ):
        pytest.fail("the work was begun")


def test_work_stands_when_the_lock_cannot_be_released(lock: _Lock) -> None:
    done = []
    with locks.held("v"):
        lock.is_down = True
        done.append("work")
    assert done == ["work"]


def test_lock_is_released_when_its_back_end_is_there_again(lock: _Lock) -> None:
    with locks.held("v"):
        lock.is_down = True
    assert not lock.released.wait(0.1)
    lock.is_down = False
    assert lock.released.wait(10)


def test_cause_of_a_failure_is_not_hidden_by_the_locks(lock: _Lock) -> None:
    def fail() -> None:
        lock.is_down = True
        raise ValueError("the cause")

    with pytest.raises(ValueError, match="the cause"), locks.held("v"):
        fail()


def test_lock_that_ran_out_is_told(
    lock: _Lock, caplog: pytest.LogCaptureFixture
) -> None:
    lock.has_run_out = True
    with locks.held("v"):
        pass
    assert "The lock of volume v ran out while it was held" in caplog.text


def test_lock_that_another_has_for_too_long_is_not_had(lock: _Lock) -> None:
    lock.is_held_by_another = True
    with locks.tried(VOLUME, 0.1) as has_lock:
        assert not has_lock
    assert not lock.released.is_set()
