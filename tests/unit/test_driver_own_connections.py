# SPDX-License-Identifier: Apache-2.0
"""Cinder's own connections on hosts that have servers of the volume, too (laws 1, 2).

Cinder's API makes a backup only of what is available. But it looks first and sets the
status ``backing-up`` later (backup.api.API.create), so a server can come in between; or
an operator sets the status back while the backup runs.
"""

import pytest

from tests.unit.cloud import A


def _connect(cloud, volume):
    loaded = cloud.load(volume)
    before, loaded.status = loaded.status, "backing-up"
    loaded.save()
    cloud.connect_only(loaded, A)
    loaded.status = before
    loaded.save()


def _end(cloud, volume):
    request = cloud.context
    cloud.manager.terminate_connection(request, volume, dict(A), force=True)
    cloud.manager.remove_export(request, volume)


def test_end_of_one_that_gave_nothing_any_more_is_not_taken_for_still_to_come(cloud):
    volume = cloud.volume()
    _connect(cloud, volume)
    server = cloud.attach(volume, A | {"mountpoint": "/dev/vdb"})
    cloud.pass_often()
    _end(cloud, volume)
    assert server.session.alive
    cloud.force_detach(volume, server, A)
    assert not server.session.alive


def test_end_of_an_old_server_by_the_same_connector_leaves_a_backups_to_its_own(cloud):
    volume = cloud.volume()
    _connect(cloud, volume)
    server = cloud.os_attach(volume, A)
    cloud.os_detach(volume, server, A)
    _end(cloud, volume)
    cloud.pass_often()
    assert cloud.acls(volume) is None


@pytest.mark.parametrize("before", [0, 1, 2])
def test_repeated_end_of_an_old_server_beside_a_backup_keeps_the_next(cloud, before):
    volume = cloud.volume()
    servers = []
    for number in range(3):
        if number == before:
            _connect(cloud, volume)
        if number < 2:
            servers.append(cloud.os_attach(volume, A))
    for _ in range(2):
        cloud.manager.terminate_connection(cloud.context, volume, dict(A))
    cloud.os_detach(volume, servers[0])
    _end(cloud, volume)
    assert servers[1].session.alive
    cloud.reconcile()
    assert servers[1].session.alive


@pytest.mark.parametrize("force", [False, True])
def test_end_of_a_backup_asks_nobody_to_delete_the_servers_attachment(
    cloud, log, force
):
    volume = cloud.volume()
    server = cloud.attach(volume, A)
    cloud.connect_only(cloud.load(volume), A)
    cloud.manager.terminate_connection(cloud.context, volume, dict(A), force=force)
    assert server.session.alive
    assert ("keeps its access" in log.text) is not force
