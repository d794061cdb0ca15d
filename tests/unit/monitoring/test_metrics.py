# SPDX-License-Identifier: Apache-2.0
"""The metrics count what happened, once, and by what it was."""

import shutil
import subprocess
import time
from pathlib import Path

import pytest
from cinder import exception

import taikun_cinder.exception
from taikun_cinder import database
from taikun_cinder.access.model import Initiator
from taikun_cinder.monitoring.request_metrics import (
    ATTACH_ERRORS,
    DETACH_ERRORS,
    outcome_of,
)
from taikun_cinder.shared_volumes import Endangered
from taikun_cinder.targets.lio.kinds import Kind
from taikun_cinder.targets.lio.steps import RemoveAcl, SetAttribute
from tests.unit.cloud import A, B, Host
from tests.unit.memory import name_of
from tests.unit.monitoring import shown


def test_attaches_and_detaches_are_counted_with_what_they_took(cloud):
    volume = cloud.volume()
    first, second = cloud.attach(volume, A), cloud.attach(volume, B)
    cloud.detach(volume, first)
    cloud.driver.terminate_connection(cloud.load(volume), None)
    now = shown.of(cloud.driver)
    for request in ("attach", "detach"):
        assert now.counted(f"{request}es_total", "outcome") == {"done": 2}
        assert now.value(f"{request}_duration_seconds_count") == 2
        assert 0 < now.value(f"{request}_duration_seconds_sum") < 60
        assert now.value(f"{request}es_in_progress") == 0
    assert second.session.alive is False


def test_age_of_the_oldest_request_is_shown_until_it_is_answered(cloud):
    metrics = cloud.driver._monitor._metrics
    with metrics.attach.counted():
        time.sleep(0.05)
        with metrics.attach.counted():
            shown_now = shown.of(cloud.driver)
        assert 0.05 <= shown_now.value("oldest_attach_age_seconds") < 60
        assert shown_now.value("oldest_detach_age_seconds") == 0
    assert shown.of(cloud.driver).value("oldest_attach_age_seconds") == 0


def _deny(cloud, monkeypatch):
    volume = cloud.volume(**cloud.volume_type(secondary_mode="deny"))
    cloud.attach(volume, A)
    return volume, B


def _no_name(cloud, monkeypatch):
    return cloud.volume(), B | {"initiator": "compute2"}


def _no_connector(cloud, monkeypatch):
    return cloud.volume(), B | {"mountpoint": "x" * 300}


def _no_step(cloud, monkeypatch):
    cloud.target.fails_for.add(B["initiator"])
    return cloud.volume(), B


def _no_database(cloud, monkeypatch):
    def fails(*_arguments):
        raise OSError("the database is gone")

    monkeypatch.setattr(database, "rows_of", fails)
    return cloud.volume(), B


@pytest.mark.parametrize(
    ("prepare", "outcome"),
    [
        (_deny, "attachment_refused"),
        (_no_name, "invalid_initiator"),
        (_no_connector, "invalid_connector"),
        (_no_step, "step_failed"),
        (_no_database, "other"),
    ],
)
def test_attach_that_is_refused_or_fails_is_counted_once_by_its_cause(
    cloud, monkeypatch, prepare, outcome
):
    volume, host = prepare(cloud, monkeypatch)
    before = shown.of(cloud.driver).counted("attaches_total", "outcome")
    reserved = cloud.reserve(volume)
    with pytest.raises(exception.CinderException):
        cloud.connect(volume, host, reserved)
    now = shown.of(cloud.driver)
    assert now.counted("attaches_total", "outcome") == before | {outcome: 1}
    assert now.value("attach_duration_seconds_count") == before.get("done", 0)
    assert now.value("attaches_in_progress") == 0


def _errors():
    ours = vars(taikun_cinder.exception).values()
    return {one for one in ours if isinstance(one, type) if outcome_of(one) != "other"}


def test_every_error_is_an_outcome_of_a_request_or_of_none():
    #: Those of the start, of other requests and of commands, and that of a group, which
    #: a request tells as NotActivated.
    elsewhere = {
        taikun_cinder.exception.ActivationRefused,
        taikun_cinder.exception.BackendRefused,
        taikun_cinder.exception.DatabaseUnknown,
        taikun_cinder.exception.ExtendRefused,
        taikun_cinder.exception.MigrationGivenUp,
        taikun_cinder.exception.RecordUnreadable,
        taikun_cinder.exception.VolumeHeld,
        taikun_cinder.exception.VolumeShared,
    }
    assert _errors() == {*ATTACH_ERRORS, *DETACH_ERRORS} | elsewhere


def test_every_outcome_is_explained():
    page = Path(__file__).parents[3] / "doc" / "source" / "monitoring.rst"
    text = page.read_text()
    for error in (*ATTACH_ERRORS, *DETACH_ERRORS):
        assert f"``{outcome_of(error)}``" in text


def test_detach_that_says_not_whose_it_is_is_counted_by_its_cause(cloud):
    volume = cloud.volume()
    cloud.attach(volume, A)
    with pytest.raises(exception.InvalidConnectorException):
        cloud.driver.terminate_connection(cloud.load(volume), {"host": "compute1"})
    counted = shown.of(cloud.driver).counted("detaches_total", "outcome")
    assert counted == {"unknown_initiator": 1}


@pytest.mark.options(taikun_reconcile_interval=77)
def test_pass_shows_volumes_hosts_and_sessions_by_mode(cloud):
    shared, alone = cloud.volume(), cloud.volume()
    cloud.volume()
    cloud.attach(shared, A, "rw")
    reader = cloud.attach(shared, B, "ro")
    cloud.attach(alone, A, "rw")
    cloud.log_out(reader)
    cloud.reconcile()
    now = shown.of(cloud.driver)
    for name, value in {
        "volumes": 3,
        "exported_volumes": 2,
        "shared_volumes": 1,
        "hosts": 2,
        "initialized": 1,
        "reconcile_database_known": 1,
        "reconcile_interval_seconds": 77,
        "reconcile_failed_volumes": 0,
    }.items():
        assert now.value(name) == value, name
    assert now.counted("accesses", "mode") == {"rw": 2, "ro": 1}
    assert now.counted("sessions", "mode") == {"rw": 2}
    ended = now.value("reconcile_last_pass_timestamp_seconds")
    assert 0 <= now.value("metrics_timestamp_seconds") - ended < 60
    assert 0 <= now.value("reconcile_last_pass_duration_seconds") < 60


def test_nothing_is_shown_of_passes_before_the_first(make_driver):
    driver = make_driver()
    now = shown.of(driver)
    assert now.value("hosts") is None
    assert now.value("reconcile_last_pass_timestamp_seconds") == 0
    assert now.value("initialized") == 0


def test_corrections_are_counted_by_kind(cloud):
    volume = cloud.volume()
    cloud.attach(volume, A)
    cloud.reconcile()
    assert shown.of(cloud.driver).counted("reconcile_corrections_total", "kind") == {}
    name = name_of(cloud.load(volume))
    for step in (
        RemoveAcl(Initiator(A["initiator"])),
        SetAttribute("generate_node_acls", 1),
    ):
        cloud.target.kernel.take(name, step)
    cloud.reconcile()
    counted = shown.of(cloud.driver).counted("reconcile_corrections_total", "kind")
    assert counted[Kind.ATTRIBUTE] == 1
    assert counted[Kind.ACL] >= 1


@pytest.mark.options(taikun_max_revocations=3)
def test_what_the_brake_holds_is_shown_with_the_reason(cloud):
    volume = cloud.volume()
    for number in range(4):
        cloud.attach(volume, Host(f"compute{number}").connector)
    cloud.reconcile()
    cloud.lose_rows(volume)
    held = []
    for _ in range(2):
        cloud.reconcile()
        now = shown.of(cloud.driver)
        held.append(now.counted("brake_held_accesses", "reason"))
    assert held == [{"missing_once": 4}, {"over_limit": 4}]
    cloud.driver._reconcile.once(confirmed=True)
    assert shown.of(cloud.driver).counted("brake_held_accesses", "reason") == {}


def test_pass_that_fails_as_a_whole_is_counted_and_shows_the_one_before(
    cloud, monkeypatch
):
    cloud.volume()
    cloud.reconcile()
    before = shown.of(cloud.driver)
    monkeypatch.setattr(cloud.driver._reconcile, "_volumes", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cloud.reconcile()
    now = shown.of(cloud.driver)
    name = "reconcile_passes_total"
    assert now.value(name, outcome="failed") == 1
    assert now.value(name, outcome="done") == before.value(name, outcome="done")
    assert now.value("volumes") == 1


def test_volumes_that_fail_are_shown(cloud, monkeypatch):
    volumes = [cloud.volume() for _ in range(3)]
    for volume in volumes:
        cloud.attach(volume, A)
    look = cloud.driver._exports.ensure

    def ensure(volume, **how):
        if volume["id"] == volumes[0]:
            raise OSError("no")
        return look(volume, **how)

    monkeypatch.setattr(cloud.driver._exports, "ensure", ensure)
    cloud.reconcile()
    assert shown.of(cloud.driver).value("reconcile_failed_volumes") == 1


def test_volumes_in_danger_are_shown_as_they_are_now(cloud):
    reconcile = cloud.driver._reconcile
    assert shown.of(cloud.driver).value("endangered_volumes") == 0
    cloud.driver._monitor.start(reconcile)
    reconcile.shared.endangered = {"v": Endangered("ext4", frozenset({"a", "b"}))}
    assert shown.of(cloud.driver).value("endangered_volumes") == 1
    reconcile.shared.endangered = {}
    assert shown.of(cloud.driver).value("endangered_volumes") == 0


def test_series_do_not_grow_with_volumes_hosts_and_errors(cloud):
    cloud.reconcile()

    def series():
        now = shown.of(cloud.driver)
        return {
            (sample.name, *sorted(sample.labels.items()))
            for family in now.families
            for sample in family.samples
        }

    before = series()
    for number in range(3):
        volume = cloud.volume()
        attached = cloud.attach(volume, Host(f"other{number}").connector)
        cloud.reconcile()
        cloud.detach(volume, attached)
        with pytest.raises(exception.CinderException):
            cloud.driver.validate_connector({"host": f"h{number}", "initiator": "x"})
    cloud.reconcile()
    assert series() == before


def test_metrics_are_as_prometheus_wants_them(cloud):
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed (package prometheus)")
    cloud.reconcile()
    text = cloud.driver._monitor._metrics.text()
    check = ["promtool", "check", "metrics"]
    done = subprocess.run(check, input=text, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
