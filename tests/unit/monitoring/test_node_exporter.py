# SPDX-License-Identifier: Apache-2.0
"""A real node_exporter, of another user, shows what the driver has written."""

import os
import re
import shutil
import subprocess
import tempfile
import urllib.request
from pathlib import Path

import pytest

from taikun_cinder.monitoring.metrics import Metrics
from taikun_cinder.monitoring.textfile import Textfile
from taikun_cinder.passes import Pass
from taikun_cinder.targets.lio.target import LioTarget
from tests.unit.monitoring.shown import Shown

PROGRAM = "prometheus-node-exporter"


@pytest.fixture
def folder():
    """A folder that other users can get at, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="collector") as made:
        Path(made).chmod(0o755)
        yield Path(made)


@pytest.fixture
def exporter(folder):
    """The address of a node_exporter that collects from the folder."""
    if shutil.which(PROGRAM) is None:
        pytest.skip(f"{PROGRAM} is not installed")
    command = [
        PROGRAM,
        "--web.listen-address=127.0.0.1:0",
        "--collector.disable-defaults",
        "--collector.textfile",
        f"--collector.textfile.directory={folder}",
    ]
    user = "nobody" if os.geteuid() == 0 else None
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, user=user
    ) as started:
        yield f"http://{_address(started)}/metrics"
        started.kill()


def _address(started):
    for line in started.stderr:
        if found := re.search(r"address=(127\.0\.0\.1:\d+)", line):
            return found[1]
    raise AssertionError(f"{PROGRAM} ended")


def test_all_back_ends_of_a_node_are_shown_without_a_complaint(exporter, folder):
    backends = ["node@lvm", "node@lvm two"]
    before = os.umask(0o077)
    try:
        for backend in backends:
            metrics = Metrics(backend, LioTarget.kinds, 60)
            metrics.end_pass(Pass())
            file = Textfile(folder, backend, metrics.text)
            file.refresh()
            file.stop()
    finally:
        os.umask(before)
    with urllib.request.urlopen(exporter, timeout=10) as answer:  # noqa: S310
        text = answer.read()
    assert b"\nnode_textfile_scrape_error 0\n" in text
    shown = Shown(text)
    for backend in backends:
        assert (
            shown.value("brake_held_accesses", backend=backend, reason="over_limit")
            == 0
        )
        assert shown.value("attach_duration_seconds_count", backend=backend) == 0
