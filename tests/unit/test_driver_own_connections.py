# SPDX-License-Identifier: Apache-2.0
"""Cinder's own connections on hosts that have servers of the volume, too (laws 1, 2).

Cinder's API makes a backup only of what is available. But it looks first and sets the
status ``backing-up`` later (backup.api.API.create), so a server can come in between; or
an operator sets the status back while the backup runs.
"""

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
