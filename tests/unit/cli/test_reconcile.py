# SPDX-License-Identifier: Apache-2.0
"""The operator's reconcile tells and does all that it can, whatever is broken."""

import types
from pathlib import Path

import pytest
from cinder import coordination
from oslo_config import cfg
from sqlalchemy.exc import ArgumentError

from taikun_cinder import database
from taikun_cinder.cinder_db import api as db
from taikun_cinder.cinder_db import models
from taikun_cinder.exception import DatabaseUnknown, TargetBusy
from taikun_cinder.records import Records
from taikun_cinder.targets.lio.steps import RemoveAcl
from tests.unit.cli.conftest import backend_of
from tests.unit.cloud import A, B, Cloud, lose
from tests.unit.memory import name_of


class _Broken:
    name, host = "broken", "node@broken"
    records = Records(Path("/no/such/folder"))

    @property
    def reconcile(self):
        raise ValueError("'storage1' is no\naddress")

    def refuse_elsewhere(self):
        pass

    def survey(self, _complain):
        return self.reconcile


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

    def refuse_elsewhere(self):
        pass

    def survey(self, _complain):
        return self.reconcile


class _Fine:
    name, host = "fine", "node@fine"

    def __init__(self):
        self.done = []
        self.reconcile = types.SimpleNamespace(once=self._once)
        self.records = Records(Path("/no/such/folder"))

    def _once(self, confirmed):
        self.done.append(confirmed)
        return 0

    def refuse_elsewhere(self):
        pass

    def survey(self, _complain):
        return types.SimpleNamespace(volumes=list, orphans=frozenset)


@pytest.mark.parametrize("yes", [[], ["--yes"]])
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("broken", [_Broken(), _WithoutHost()])
def test_broken_back_end_keeps_no_other_from_being_looked_at(
    command, broken, yes, first
):
    fine = _Fine()
    found = (fine, broken) if first else (broken, fine)
    done = command("reconcile", *yes, found=found)
    assert done.status == 1
    assert f"{broken.name}" in done.complaints
    assert "it cannot be looked at" in done.complaints
    assert fine.done == ([True] if yes else [])


def test_back_ends_that_are_all_right_give_the_status_0(command):
    assert command("reconcile", found=[_Fine(), _Fine()]).status == 0


@pytest.mark.parametrize("verb", ["audit", "reconcile"])
def test_that_nothing_differs_is_said_to_people_only(command, verb):
    assert "nothing differs" in command(verb, found=[_Fine()]).complaints
    assert command(verb, "-f", "json", found=[_Fine()]).complaints == ""
    assert "nothing differs" not in command(verb, found=[_Broken()]).complaints


def test_broken_volume_hides_no_other(cloud, command, monkeypatch):
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
    done = command("reconcile", "-f", "json", found=[backend_of(cloud)])
    assert done.status == 1
    assert f"volume {broken} cannot be looked at" in done.complaints
    assert "the disk hangs" in done.complaints
    assert {row["Volume"] for row in done.json} == {other}


def test_what_is_told_is_what_a_confirmed_pass_does(cloud, command):
    volume = cloud.volume()
    server = cloud.attach(volume, A)
    cloud.connect_only(cloud.load(volume), B).logout()
    cloud.reconcile()
    backend = backend_of(cloud)
    assert command("reconcile", found=[backend]).status == 0
    backend.exports._clock = lambda: cloud.driver._exports._clock() + 400
    done = command("reconcile", "-f", "json", found=[backend])
    assert done.status == 1
    assert {row["Initiator"] for row in done.json} == {B["initiator"]}
    assert cloud.acls(volume) == {A["initiator"], B["initiator"]}
    done = command("reconcile", "--yes", found=[backend])
    assert done.status == 0
    assert "reconciled" in done.complaints
    assert cloud.acls(volume) == {A["initiator"]}
    assert server.session.alive
    assert command("reconcile", found=[backend]).status == 0


def test_one_volume_is_put_right_and_no_other(cloud, command):
    one, other = cloud.volume(), cloud.volume()
    for volume in one, other:
        cloud.attach(volume, A)
        name = name_of(cloud.load(volume))
        (initiator,) = cloud.target.read(name).hosts
        cloud.target.kernel.take(name, RemoveAcl(initiator))
    backend = backend_of(cloud)
    done = command("reconcile", "--volume", one, "-f", "json", found=[backend])
    assert {row["Volume"] for row in done.json} == {one}
    assert command("reconcile", "--volume", one, "--yes", found=[backend]).status == 0
    assert cloud.acls(one) == {A["initiator"]}
    assert cloud.acls(other) == set()


def test_volume_that_is_not_here_is_told_and_nothing_is_done(cloud, command):
    volume = cloud.volume()
    attached = cloud.attach(volume, A)
    cloud.forget(volume, attached)
    arguments = "reconcile", "--volume", "gone", "--yes"
    done = command(*arguments, found=[backend_of(cloud)])
    assert done.status == 2
    assert "there is no volume gone" in done.complaints
    assert attached.session.alive


def test_empty_name_of_a_volume_does_not_stand_for_all(cloud, command):
    """As of a script whose variable is not set."""
    volume = cloud.volume()
    attached = cloud.attach(volume, A)
    cloud.reconcile()
    lose(attached)
    with pytest.raises(SystemExit) as ended:
        command("reconcile", "--yes", "--volume", "", found=[backend_of(cloud)])
    assert ended.value.code == 2
    assert attached.session.alive


def test_back_end_that_cannot_be_told_is_no_success(cloud, command):
    complaints = ["back end [lvm9]: it has no volume_group"]
    found = [backend_of(cloud)]
    done = command("reconcile", "--yes", found=found, complaints=complaints)
    assert "reconciled" in done.complaints
    assert done.status == 1


def test_row_that_cannot_be_read_is_no_difference(cloud, command):
    volume = cloud.volume()
    attached = cloud.attach(volume, A)
    cloud.reconcile()
    with db.main_context_manager.writer.using(cloud.context) as session:
        rows = session.query(models.VolumeAttachment).filter_by(id=attached.id)
        rows.update({"connector": "{"})
    cloud.reconcile()
    backend = backend_of(cloud)
    assert command("reconcile", found=[backend]).status == 0
    assert command("reconcile", "--yes", found=[backend]).status == 0
    assert attached.session.alive


def test_volumes_of_another_back_end_of_the_node_are_no_difference(
    cloud, configure, volume_type, command
):
    other = Cloud(configure().config_group, volume_type)
    other.attach(other.volume(), A)
    cloud.attach(cloud.volume(), A)
    both = [backend_of(cloud), backend_of(other)]
    assert command("reconcile", found=both).status == 0
    other.end_driver()


@pytest.mark.parametrize("only", [False, True])
def test_wrong_database_confirms_nothing(cloud, command, monkeypatch, only):
    volume = cloud.volume()
    attached = cloud.attach(volume, A)
    cloud.forget(volume, attached)
    monkeypatch.setattr(database, "knows_service", lambda host: False)
    with pytest.raises(DatabaseUnknown, match="connection in"):
        cloud.driver._reconcile.once(confirmed=True)
    arguments = ["--volume", volume] * only
    done = command("reconcile", "--yes", *arguments, found=[backend_of(cloud)])
    assert done.status == 1
    assert "connection in" in done.complaints
    assert attached.session.alive


def test_another_user_than_the_folders_is_refused(command, tmp_path, monkeypatch):
    fine = _Fine()
    fine.records = Records(tmp_path)
    monkeypatch.setattr("os.geteuid", lambda: 12345)
    owner = tmp_path.owner()
    done = command("reconcile", "--yes", found=[fine])
    assert done.status == 2
    assert f"runuser -u {owner} -- taikun-cinder reconcile" in done.complaints
    assert fine.done == []


def test_locks_that_cannot_be_had_are_told_in_one_line(command, monkeypatch):
    def start():
        raise ConnectionError("no etcd at\n192.0.2.1")

    monkeypatch.setattr(coordination.COORDINATOR, "start", start)
    done = command("reconcile", found=[_Fine()])
    assert done.status == 2
    (line,) = done.complaints.splitlines()
    assert "backend_url" in line
    assert "no etcd at 192.0.2.1" in line


@pytest.mark.parametrize("verb", ["audit", "reconcile", "volume list"])
def test_back_end_of_another_name_is_told_with_those_that_there_are(command, verb):
    done = command(*verb.split(), "--backend", "lvm9", found=[_Fine()])
    assert done.status == 2
    assert "no back end [lvm9]" in done.complaints
    assert "it has fine" in done.complaints


def test_debug_log_tells_where_an_error_came_from_and_no_password(
    command, caplog, monkeypatch
):
    def survey(_self, _complain):
        raise ArgumentError("Could not parse 'mysql//cinder:s3cr@db/cinder'")

    monkeypatch.setattr(_Broken, "survey", survey)
    caplog.set_level("DEBUG", logger="taikun_cinder")
    done = command("audit", found=[_Broken()])
    assert "no database's URL" in done.complaints
    assert "test_reconcile.py" in caplog.text
    assert "s3cr" not in caplog.text + done.complaints


def test_service_that_hangs_up_is_told_and_is_no_reader_that_has_gone(
    command, monkeypatch
):
    def survey(_self, _complain):
        raise BrokenPipeError(32, "etcd")

    monkeypatch.setattr(_Broken, "survey", survey)
    fine = _Fine()
    done = command("reconcile", "--yes", found=[_Broken(), fine])
    assert done.status == 1
    assert "BrokenPipeError" in done.complaints
    assert fine.done == [True]


def test_nothing_that_could_be_looked_at_has_a_status_of_its_own(command):
    for verb in (["audit"], ["volume", "list"], ["reconcile", "--yes"]):
        assert command(*verb, found=[_Broken()]).status == 2
        assert command(*verb, found=[_Broken(), _Fine()]).status == 1


@pytest.mark.parametrize(
    "verb", [["volume", "show", "v"], ["reconcile", "--volume", "v"]]
)
def test_volume_that_could_not_be_looked_for_is_not_said_to_be_nowhere(command, verb):
    done = command(*verb, found=[_Broken()])
    assert done.status == 2
    assert "volume v was not found, and not all of" in done.complaints
    assert "there is no volume" not in done.complaints


@pytest.mark.parametrize(
    "verb",
    [
        "audit",
        "reconcile",
        "reconcile --yes",
        "topology -f json",
        "volume list",
        "volume show VOLUME",
        "fence VOLUME HOST",
    ],
)
def test_group_that_is_started_elsewhere_is_not_looked_at_here(
    cloud, command, share, verb
):
    volume = cloud.volume()
    cloud.attach(volume, A)
    cloud.target.ensure(name_of(cloud.load(volume)), None)
    own = backend_of(cloud)
    share(own.group)
    words = verb.replace("VOLUME", volume).replace("HOST", A["host"])
    done = command(*words.split(), found=[own])
    assert done.status == 2
    assert (
        "is a volume group that nodes share (dlm), and is not started"
        in done.complaints
    )
    assert volume not in done.out
    assert cloud.target.names("") == frozenset()
