# SPDX-License-Identifier: Apache-2.0
"""The operator's reconcile tells and does all that it can, whatever is broken."""

import types
from pathlib import Path
from typing import Any

import pytest
from cinder import coordination
from oslo_config import cfg

from taikun_cinder import database
from taikun_cinder.cinder_db import api as db
from taikun_cinder.cinder_db import models
from taikun_cinder.cli import backends, reconcile
from taikun_cinder.exception import DatabaseUnknown, TargetBusy
from taikun_cinder.records import Records
from tests.unit.cloud import A, B, Cloud
from tests.unit.memory import name_of


@pytest.fixture
def run(monkeypatch):
    """Return a function that runs the command for some back ends."""

    def run(*found, yes=False):
        conf = types.SimpleNamespace(verb=types.SimpleNamespace(yes=yes))
        monkeypatch.setattr(cfg, "CONF", conf)
        monkeypatch.setattr(backends, "enabled", lambda _complain: list(found))
        locks = types.SimpleNamespace(start=lambda: None, stop=lambda: None)
        monkeypatch.setattr(coordination, "COORDINATOR", locks)
        return reconcile.run()

    return run


class _Broken:
    host = "node@broken"
    records = Records(Path("/no/such/folder"))

    @property
    def reconcile(self):
        raise ValueError("'storage1' is no\naddress")


class _WithoutHost:
    """One whose section has ``backend_host = $nowhere``."""

    name = "nowhere"
    records = Records(Path("/no/such/folder"))

    @property
    def host(self):
        raise cfg.TemplateSubstitutionError("no such option nowhere in [DEFAULT]")

    @property
    def reconcile(self):
        raise LookupError(self.host)


class _Fine:
    host = "node@fine"

    def __init__(self):
        self.done = []
        self.reconcile = types.SimpleNamespace(
            once=self._once, volumes=list, orphans=frozenset
        )
        self.records = Records(Path("/no/such/folder"))

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
    assert reconcile._tell(_backend(cloud)) == 1
    said = capsys.readouterr().out.splitlines()
    assert any(broken in line and "the disk hangs" in line for line in said)
    assert any(other in line for line in said)


def _backend(cloud) -> Any:
    driver = cloud.driver
    return types.SimpleNamespace(
        host=driver.host, reconcile=driver._reconcile, exports=driver._exports
    )


def test_what_is_told_is_what_a_confirmed_pass_does(cloud, capsys):
    volume = cloud.volume()
    server = cloud.attach(volume, A)
    cloud.connect_only(cloud.load(volume), B).logout()
    cloud.reconcile()
    assert reconcile._tell(_backend(cloud)) == 0
    cloud.wait(400)
    assert reconcile._tell(_backend(cloud)) == 1
    assert B["initiator"] in capsys.readouterr().out
    cloud.driver._reconcile.once(confirmed=True)
    assert cloud.acls(volume) == {A["initiator"]}
    assert server.session.alive
    assert reconcile._tell(_backend(cloud)) == 0


def test_row_that_cannot_be_read_is_no_difference(cloud):
    volume = cloud.volume()
    attached = cloud.attach(volume, A)
    cloud.reconcile()
    with db.main_context_manager.writer.using(cloud.context) as session:
        rows = session.query(models.VolumeAttachment).filter_by(id=attached.id)
        rows.update({"connector": "{"})
    cloud.reconcile()
    assert reconcile._tell(_backend(cloud)) == 0
    cloud.driver._reconcile.once(confirmed=True)
    assert attached.session.alive


def test_volumes_of_another_back_end_of_the_node_are_no_difference(
    cloud, configure, volume_type
):
    other = Cloud(configure().config_group, volume_type)
    other.attach(other.volume(), A)
    cloud.attach(cloud.volume(), A)
    assert reconcile._tell(_backend(cloud)) == 0
    assert reconcile._tell(_backend(other)) == 0
    other.end_driver()


def test_wrong_database_confirms_nothing(cloud, monkeypatch):
    volume = cloud.volume()
    attached = cloud.attach(volume, A)
    cloud.forget(volume, attached)
    monkeypatch.setattr(database, "knows_service", lambda host: False)
    with pytest.raises(DatabaseUnknown, match="connection in"):
        cloud.driver._reconcile.once(confirmed=True)
    assert attached.session.alive


def test_another_user_than_the_folders_is_refused(run, capsys, tmp_path, monkeypatch):
    fine = _Fine()
    fine.records = Records(tmp_path)
    monkeypatch.setattr("os.geteuid", lambda: 12345)
    owner = tmp_path.owner()
    assert run(fine, yes=True) == 1
    assert f"runuser -u {owner} -- taikun-cinder reconcile" in capsys.readouterr().out
    assert fine.done == []


@pytest.mark.parametrize("first", [True, False])
def test_back_end_that_is_not_told_its_name_stops_no_other(run, capsys, first):
    fine, broken = _Fine(), _WithoutHost()
    assert run(*((fine, broken) if first else (broken, fine)), yes=True) == 1
    assert fine.done == [True]
    assert "back end [nowhere]: it cannot be looked at" in capsys.readouterr().out


def test_locks_that_cannot_be_had_are_told_in_one_line(run, monkeypatch, capsys):
    def start():
        raise ConnectionError("no etcd at\n192.0.2.1")

    run()  # makes the imitated locks
    monkeypatch.setattr(coordination.COORDINATOR, "start", start)
    monkeypatch.setattr(backends, "enabled", lambda _complain: [_Fine()])
    capsys.readouterr()
    assert reconcile.run() == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert "backend_url" in line
    assert "no etcd at 192.0.2.1" in line
