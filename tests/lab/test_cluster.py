# SPDX-License-Identifier: Apache-2.0
"""The whole cluster: what a user does through the API reaches the hosts' disks."""

import os
import subprocess
import sys

import pytest
from cinderclient import exceptions

from lab import attachments
from lab.cluster import Cluster
from lab.demo import Demo
from lab.progress import Terminal
from lab.workdir import PROJECT


def test_the_demo_holds(cluster: Cluster) -> None:
    Demo(cluster, Terminal()).tell()


def test_a_second_up_says_that_the_lab_is_up_already(cluster: Cluster) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lab", "up"],
        cwd=PROJECT,
        env={**os.environ, "TAIKUN_LAB_DIR": str(cluster.work.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert "is up already" in done.stdout
    assert cluster.sandbox.alive()


def test_the_pool_reports_that_it_can_multiattach(cluster: Cluster) -> None:
    (pool,) = cluster.pools().values()
    assert pool["multiattach"] is True
    assert pool["vendor_name"] == "taikun_cinder"


def test_a_reader_may_not_create_a_volume(cluster: Cluster) -> None:
    with pytest.raises(exceptions.Forbidden):
        cluster.clients.volume("reader").volumes.create(1)


def test_another_project_does_not_see_a_volume(cluster: Cluster) -> None:
    cinder = cluster.clients.volume("member")
    volume = cinder.volumes.create(1, name="private")
    attachments.wait_for_status(cinder, volume.id, "available")
    with pytest.raises(exceptions.NotFound):
        cluster.clients.volume("other").volumes.get(volume.id)
    cinder.volumes.delete(volume.id)
    attachments.wait_until_deleted(cinder, volume.id)
