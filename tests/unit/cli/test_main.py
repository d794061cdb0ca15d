# SPDX-License-Identifier: Apache-2.0
"""The command as operators call it: which configuration it reads, and what it says."""

import subprocess
import sys

import pytest

from taikun_cinder import version


@pytest.fixture
def call(tmp_path):
    """Return a function that calls the command at home in a folder of its own."""
    home = tmp_path / "home"
    (home / ".cinder").mkdir(parents=True)
    # A command that finds its configuration looks for the state there.
    (home / ".cinder" / "cinder.conf").write_text(f"[DEFAULT]\nstate_path = {home}\n")

    def call(*arguments, **files):
        for name, text in files.items():
            path = home / ".cinder" / name.replace("__", "/").replace("_", "-")
            path = path.with_name(f"{path.name}.conf")
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        return subprocess.run(
            [
                sys.executable,
                "-W",
                "ignore",
                "-m",
                "taikun_cinder.cli.main",
                *arguments,
            ],
            env={"HOME": str(home), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
        )

    return call


def test_version_is_that_of_the_driver(call):
    done = call("--version")
    assert done.returncode == 0
    assert done.stdout.strip() == version.text()


@pytest.mark.parametrize("name", ["cinder", "cinder_volume"])
def test_it_reads_what_cinder_volume_reads(call, name):
    done = call("reconcile", **{name: "[DEFAULT]\nenabled_backends = lost\n"})
    assert done.returncode == 1
    assert "names lost, and there is no section [lost]" in done.stdout


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[DEFAULT]\nenabled_backends\n", ["enabled_backends", "cinder-volume.conf"]),
        ("[DEFAULT]\nenabled_backends = $nowhere\n", ["enabled_backends"]),
        ("[DEFAULT]\nlog_config_append = /nowhere/log.ini\n", ["/nowhere/log.ini"]),
        ("[DEFAULT]\nsyslog_log_facility = x\nuse_syslog = true\n", ["facility"]),
        ("[DEFAULT]\nlog_file = /proc/nowhere/log\n", ["log", "cinder-volume's user"]),
    ],
)
def test_a_broken_configuration_is_one_clear_line_and_a_status(call, text, words):
    done = call("restore", cinder_volume=text)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("taikun-cinder: ")
    assert all(word in line for word in words), line


def test_a_missing_configuration_is_one_clear_line_and_a_status(call):
    done = call("--config-file", "/nowhere/cinder.conf", "restore")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "/nowhere/cinder.conf" in line


def test_a_wrong_verb_is_told_with_those_that_there_are(call):
    done = call("undo")
    assert done.returncode == 2
    assert "reconcile" in done.stderr
    assert "restore" in done.stderr
