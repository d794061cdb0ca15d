# SPDX-License-Identifier: Apache-2.0
"""The operator's reconcile tells and does all that it can, whatever is broken."""

import types
from typing import Any

import pytest
from cinder import coordination
from oslo_config import cfg

from taikun_cinder.cli import backends, reconcile
from taikun_cinder.exception import TargetBusy
from tests.unit.cloud import A, B
from tests.unit.memory import name_of


@pytest.fixture
def run(monkeypatch):
    """Return a function that runs the command for some back ends."""

    def run(*found, yes=False):
        conf = types.SimpleNamespace(verb=types.SimpleNamespace(yes=yes))
        monkeypatch.setattr(cfg, "CONF", conf)
        monkeypatch.setattr(backends, "enabled", lambda: list(found))
        locks = types.SimpleNamespace(start=lambda: None, stop=lambda: None)
        monkeypatch.setattr(coordination, "COORDINATOR", locks)
        return reconcile.run()

    return run


class _Broken:
    host = "node@broken"

    @property
    def reconcile(self):
        raise ValueError("'storage1' is no\naddress")


class _Fine:
    host = "node@fine"

    def __init__(self):
        self.done = []
        self.reconcile = types.SimpleNamespace(
            once=self._once, volumes=list, orphans=frozenset
        )

    def _once(self, confirmed):
        self.done.append(confirmed)
        return 0


@pytest.mark.parametrize("yes", [False, True])
def test_broken_back_end_keeps_no_other_from_being_looked_at(run, capsys, yes):
    fine = _Fine()
    assert run(_Broken(), fine, yes=yes) == 1
    said = capsys.readouterr().out
    assert "node@broken: it cannot be looked at: ValueError: 'storage1' is no" in said
    assert "node@fine: " in said
    assert fine.done == ([True] if yes else [])


def test_back_ends_that_are_all_right_give_the_status_0(run):
    assert run(_Fine(), _Fine()) == 0


def test_broken_volume_hides_no_other(cloud, run, capsys, monkeypatch):
    broken, other = cloud.volume(), cloud.volume()
    cloud.attach(broken, A)
    gone = cloud.attach(other, B)
    cloud.reconcile()
    cloud.forget(other, gone)
    real = cloud.target.findings

    def findings(name, desired):
        if name == name_of(cloud.load(broken)):
            raise TargetBusy(target=name, cause="the disk hangs")
        return real(name, desired)

    monkeypatch.setattr(cloud.target, "findings", findings)
    driver = cloud.driver
    backend: Any = types.SimpleNamespace(
        host="node@lvm", reconcile=driver._reconcile, exports=driver._exports
    )
    assert reconcile._tell(backend) == 1
    said = capsys.readouterr().out.splitlines()
    assert any(broken in line and "the disk hangs" in line for line in said)
    assert any(other in line for line in said)
