# SPDX-License-Identifier: Apache-2.0
"""What becomes of fences and records when the storage node loses its power."""

from typing import Any

import pytest

from taikun_cinder import durable, fences, records
from taikun_cinder.access.model import Initiator
from taikun_cinder.fences import Fences
from taikun_cinder.records import Records
from taikun_cinder.volume_record import Record
from tests.simulate.disk import Disk, SimOs, SimPath, SimShutil
from tests.simulate.schedule import Scheduler

HOST = Initiator("iqn.2026-11.com.example:compute1")
VOLUME = "5c1f0b7e-0d55-4d1c-9a53-2f0e6f1c7a10"


@pytest.fixture
def disk(monkeypatch):
    """Give the disk that the fences are on."""
    nobody: Any = None
    scheduler = Scheduler(nobody, lambda: False, lambda: None, lambda how: None)
    disk = Disk(scheduler)
    monkeypatch.setattr(SimPath, "disk", disk, raising=False)
    monkeypatch.setattr(durable, "os", SimOs())
    for module in (fences, records):
        monkeypatch.setattr(module, "os", SimOs())
        monkeypatch.setattr(module, "Path", SimPath)
    monkeypatch.setattr(fences, "shutil", SimShutil())
    return disk


def _fences() -> Any:
    folder: Any = SimPath("/state/fences")
    return Fences(folder)


#: What a file system keeps of what was not synced: nothing, or some of it.
LOSSES = (0, 2, 3)


@pytest.mark.parametrize("how", LOSSES)
def test_fence_outlives_a_power_loss(disk, how):
    _fences().set(VOLUME, HOST)
    disk.lose_power(how)
    (fence,) = _fences().of(VOLUME)
    assert fence.initiator == HOST


@pytest.mark.parametrize("how", LOSSES)
def test_fence_that_is_over_does_not_come_back_with_the_power(disk, how):
    """It would end what its host has attached since."""
    fenced = _fences()
    fenced.set(VOLUME, HOST)
    fenced.forget(VOLUME, HOST)
    disk.lose_power(how)
    assert _fences().of(VOLUME) == ()


@pytest.mark.parametrize("how", LOSSES)
def test_no_draft_of_a_volume_that_is_gone_comes_back_with_the_power(disk, how):
    """Nobody would look for it, and it has passwords."""
    folder: Any = SimPath("/state")
    written = Records(folder)
    written.save(VOLUME, Record())
    names = disk.folder(folder).names
    names[f"{VOLUME}.new"] = names[f"{VOLUME}.json"]
    disk.folder(folder).synced = dict(names)
    written.forget(VOLUME)
    disk.lose_power(how)
    assert list(disk.walk()) == []
