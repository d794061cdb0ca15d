# SPDX-License-Identifier: Apache-2.0
"""The whole cluster: what a user does through the API reaches the hosts' disks."""

import os
import shlex
import subprocess
import sys

import pytest
from cinderclient import exceptions

from lab import attachments
from lab.cluster import Cluster
from lab.demo import BACKEND, Demo
from lab.errors import LabError
from lab.progress import Terminal
from lab.workdir import PROJECT


def test_the_demo_holds(cluster: Cluster) -> None:
    Demo(cluster, Terminal()).tell()


def test_a_second_up_says_that_the_lab_is_up_already(cluster: Cluster) -> None:
    done = _lab(cluster, "up")
    assert done.returncode == 0
    assert "is up already" in done.stdout
    assert cluster.sandbox.alive()


def _lab(cluster: Cluster, *verb: str) -> subprocess.CompletedProcess[str]:
    """Run the lab's command line against the cluster, on a terminal of its own."""
    command = shlex.join([sys.executable, "-m", "lab", *verb])
    return subprocess.run(
        ["script", "--quiet", "--return", "--command", command, "/dev/null"],
        cwd=PROJECT,
        env={**os.environ, "TAIKUN_LAB_DIR": str(cluster.work.path)},
        input="uname -n; exit 7\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_a_step_of_the_demo_that_fails_ends_it_with_its_cause(cluster: Cluster) -> None:
    compute2 = cluster.nodes["compute2"]
    compute2.run("mv /usr/sbin/iscsiadm /usr/sbin/iscsiadm.away")
    try:
        done = _lab(cluster, "demo")
    finally:
        compute2.run("mv /usr/sbin/iscsiadm.away /usr/sbin/iscsiadm")
    assert done.returncode == 1
    assert "[FAILED] attaching it on compute2" in done.stdout
    assert "iscsiadm" in done.stdout
    assert cluster.sandbox.alive()
    _remove_remains(cluster)


def _remove_remains(cluster: Cluster) -> None:
    """Detach and delete what the failed demo left, without its help."""
    for host in ("compute1", "compute2"):
        cluster.nodes[host].run("iscsiadm -m node --logoutall=all || true")
    cinder = cluster.clients.volume("member", "nova")
    admin = cluster.clients.volume("admin")
    for volume in cinder.volumes.list():
        for attachment in cinder.attachments.list(search_opts={"volume_id": volume.id}):
            cinder.attachments.delete(attachment.id)
        attachments.wait_for_status(cinder, volume.id, "available")
        cinder.volumes.delete(volume.id)
        attachments.wait_until_deleted(cinder, volume.id)
    for volume_type in admin.volume_types.list():
        if volume_type.name == "shared":
            admin.volume_types.delete(volume_type)


def test_a_shell_on_a_node_is_on_that_node(cluster: Cluster) -> None:
    assert "compute1" in _lab(cluster, "shell", "compute1").stdout


def test_run_gives_the_output_and_the_status_of_the_command(cluster: Cluster) -> None:
    done = _lab(cluster, "run", "compute2", "bash", "-c", "uname -n; exit 5")
    assert "compute2" in done.stdout
    assert done.returncode == 5


def test_the_clients_run_in_the_lab_as_any_of_its_users(cluster: Cluster) -> None:
    listing = _lab(cluster, "run", "control", "cinder", "service-list")
    assert "storage@lvm-shared" in listing.stdout
    refused = _lab(
        cluster, "run", "--user", "member", "control", "cinder", "service-list"
    )
    assert refused.returncode != 0


def test_the_pool_reports_that_it_can_multiattach(cluster: Cluster) -> None:
    pools = cluster.pools().values()
    assert {pool["multiattach"] for pool in pools} == {True}
    assert {pool["vendor_name"] for pool in pools} == {"taikun_cinder"}


def test_get_capabilities_shows_the_extra_specs(cluster: Cluster) -> None:
    (name,) = {pool.partition("#")[0] for pool in cluster.pools() if BACKEND in pool}
    shown = cluster.clients.volume("admin").capabilities.get(name)
    mode = shown.properties["taikun:secondary_mode"]
    assert mode["enum"] == ["rw", "ro", "deny"]


def test_a_type_that_cinder_would_not_understand_makes_no_volume(
    cluster: Cluster,
) -> None:
    admin, cinder = cluster.clients.volume("admin"), cluster.clients.volume("member")
    volume_type = admin.volume_types.create("wrong")
    volume_type.set_keys({"multiattach": "<is> true"})
    volume = cinder.volumes.create(1, volume_type="wrong")
    with pytest.raises(LabError, match="error"):
        attachments.wait_for_status(cinder, volume.id, "available")
    said = cluster.work.log("cinder-scheduler").read_text()
    cause = f"for volume {volume.id} of type wrong: multiattach='<is> true' would make"
    assert cause in said
    cinder.volumes.delete(volume.id)
    attachments.wait_until_deleted(cinder, volume.id)
    admin.volume_types.delete(volume_type)


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
