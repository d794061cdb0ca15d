# SPDX-License-Identifier: Apache-2.0
"""The command as operators call it: its exit status, and what it says."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from oslo_config import cfg

from taikun_cinder.cli.backends import DRIVER
from taikun_cinder.status import main
from tests.unit import commands
from tests.unit.cloud import A

ROOT = Path(__file__).parents[3]


@pytest.fixture
def call(tmp_path):
    """Return a function that calls the command with a text as cinder.conf."""
    file = tmp_path / "cinder.conf"

    def call(text, *arguments):
        file.write_text(text)
        words = [f"--config-file={file}", "upgrade", "check", *arguments]
        environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
        return commands.call("taikun_cinder.status.main", words, environment)

    return call


@pytest.fixture
def text(cloud, tmp_path):
    """A cinder.conf of the cloud's node with which all is well."""
    options = cloud.driver.configuration
    state = Path(options.taikun_state_path)
    cloud.attach(cloud.volume(), A)
    if os.geteuid() == 0:
        for path in (state, *state.iterdir()):
            os.chown(path, 65534, 65534)
    return f"""\
[DEFAULT]
host = node
state_path = {tmp_path}
enabled_backends = {options.config_group}
scheduler_default_filters = CapacityFilter,TaikunMultiattachFilter
[database]
connection = {cfg.CONF.database.connection}
[oslo_policy]
policy_dirs = {ROOT}/etc/policy.d/multiattach-controlled.yaml
[{options.config_group}]
volume_driver = {DRIVER}
volume_group = {options.volume_group}
target_helper = lioadm
target_ip_address = 192.0.2.11
taikun_state_path = {state}
"""


def _results(done):
    assert done.stdout, done.stderr
    return {one["check"]: one for one in json.loads(done.stdout)["checks"]}


def test_all_is_well_and_nothing_is_changed(call, text, cloud, tmp_path):
    folder = Path(cloud.driver.configuration.taikun_state_path)
    before = {path: path.stat().st_mtime_ns for path in (folder, *folder.iterdir())}
    done = call(text, "--json")
    found = _results(done)
    assert {
        one["check"]: one["details"] for one in found.values() if one["result"]
    } == {}
    assert done.returncode == 0
    assert before == {
        path: path.stat().st_mtime_ns for path in (folder, *folder.iterdir())
    }


def test_failures_and_warnings_have_the_status_that_others_have(call, text):
    warned = call(text.replace(",TaikunMultiattachFilter", ""), "--json")
    assert warned.returncode == 1
    assert _results(warned)["Scheduler filter"]["result"] == 1
    broken = text.replace("target_helper = lioadm", "target_helper = tgtadm")
    failed = call(broken)
    assert failed.returncode == 2
    assert "Check: Back ends" in failed.stdout
    assert "Set target_helper = lioadm" in " ".join(
        re.sub(r"[|\s]+", " ", failed.stdout).split()
    )


def test_database_that_is_down_is_told_soon_and_hides_no_other_check(call, text):
    lost = re.sub("connection = .*", "connection = sqlite:////nowhere/x", text)
    done = call(lost, "--json")
    assert done.returncode == 1
    found = _results(done)
    assert "could not be checked" in found["Service in the database"]["details"]
    assert found["Records"]["result"] == 0


def test_configuration_that_cannot_be_read_is_no_warning(call):
    done = call("enabled_backends = x\n[")
    assert done.returncode == 255
    assert done.stderr.startswith("taikun-cinder-status: ")


def test_it_begins_without_a_warning_of_others():
    begin = "from taikun_cinder.status.main import main; main(['--version'])"
    done = subprocess.run(
        [sys.executable, "-c", begin], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""


def test_release_of_cinder_that_was_not_tried_is_a_failure(monkeypatch, capsys):
    monkeypatch.setattr("cinder.version.version_string", lambda: "30.0.0")
    assert main.main(["upgrade", "check"]) == 2
    assert "26 to 29" in capsys.readouterr().err


def test_releases_are_those_that_are_required():
    (line,) = re.findall(
        r"^cinder(.*?) #", (ROOT / "requirements.txt").read_text(), re.M
    )
    assert line == f">={main.RELEASES[0]}.0.0,<{main.RELEASES[-1] + 1}.0.0"
