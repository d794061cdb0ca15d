# SPDX-License-Identifier: Apache-2.0
"""Law 7 for everything that the cluster's tests did: no secret can be seen anywhere."""

import contextlib
from collections.abc import Iterator

import pytest
from cinderclient import exceptions

from lab.cluster import Cluster
from lab.demo import USER
from lab.plan import VOLUME_GROUP
from tests.lab import secrets_seen, shared
from tests.lab.shared import Shared

_FAULTS = "tests.lab.guest.faults"
_LEAKS = "tests.lab.guest.leaks"


@contextlib.contextmanager
def _watched(cluster: Cluster, seen: set[str]) -> Iterator[None]:
    """Collect the command lines of all processes on the storage node."""
    storage = cluster.nodes["storage"]
    with storage.session() as watcher:
        watched = watcher.start("tests.lab.guest.processes", "watch")
        try:
            yield
        finally:
            storage.call("tests.lab.guest.processes", "end_watch")
            seen |= watched()


def _refused(volume: Shared, host: str) -> str:
    """Let an attach fail, tidy up behind it, and give the error that the user sees."""
    cinder = volume.cluster.clients.volume(USER, "nova")
    before = {attachment.id for attachment in cinder.attachments.list()}
    with pytest.raises(exceptions.ClientException) as refused:
        volume.let_in(host)
    for attachment in cinder.attachments.list():
        if attachment.id not in before:
            cinder.attachments.delete(attachment.id)
    return str(refused.value)


def _withheld(volume: Shared) -> str:
    """Provoke GrantWithheld: a host is logged in to what seems to be another device."""
    storage = volume.cluster.nodes["storage"]
    storage.call(_FAULTS, "point_backstore_elsewhere", volume.id, "/dev/elsewhere")
    try:
        return _refused(volume, "compute3")
    finally:
        storage.call(_FAULTS, "point_backstore_elsewhere", volume.id, _device(volume))


def _step_failed(volume: Shared) -> str:
    """Provoke StepFailed with all steps: the exports are lost, and so is the device."""
    storage = volume.cluster.nodes["storage"]
    storage.call(_FAULTS, "lose_exports")
    storage.call(_FAULTS, "replace_device", _device(volume))
    try:
        return _refused(volume, "compute3")
    finally:
        storage.call(_FAULTS, "give_device_back", _device(volume))


def _device(volume: Shared) -> str:
    return f"/dev/{VOLUME_GROUP}/volume-{volume.id}"


@pytest.mark.whole_run
def test_no_secret_of_the_whole_run_can_be_seen(cluster: Cluster) -> None:
    """Logs at debug level, command lines, files for everybody, exceptions.

    The command lines are the storage node's. On a host that connects, os-brick gives
    the password to ``iscsiadm --value``: that is upstream's, and the host's own secret.
    """
    storage = cluster.nodes["storage"]
    lines: set[str] = set()
    told = []
    with _watched(cluster, lines), shared.volume(cluster) as volume:
        connected = volume.attach("compute1")
        told.append(_withheld(volume))
        kept, shown = storage.call(_LEAKS, "passwords_shown_to", "nobody")
        assert kept > 0  # more than one, if a test that failed left its export
        assert shown == 0
        # Now, since the driver's record of the volume goes with its last attachment.
        for node in cluster.nodes.values():
            password = connected.information["auth_password"]
            found = node.call(_LEAKS, "in_readable_files", [password])
            assert found == [], f"on {node.name}"
        volume.detach(connected)
        attachment, _information = volume.let_in("compute2")
        told.append(_step_failed(volume))
        volume.end(attachment)

    handed_out = secrets_seen.handed_out(cluster)
    secrets, usernames = list(handed_out), list(handed_out.values())
    service = cluster.work.log("cinder-volume").read_text()
    assert "cannot be put right while hosts are logged in" in service
    assert "one of [CreateBackstore(" in service
    # The usernames are no secrets: they show that the search is not a blind one.
    assert secrets_seen.in_files(cluster, usernames)
    assert any("cinder-rootwrap" in line for line in lines)

    kernels = [node.run("dmesg") for node in cluster.nodes.values()]
    for text in (*told, *lines, *kernels):
        assert not [secret for secret in secrets if secret in text], text
    assert secrets_seen.in_files(cluster, secrets) == []
    for node in cluster.nodes.values():
        found = node.call(_LEAKS, "in_readable_files", secrets)
        assert found == [], f"on {node.name}"
