# SPDX-License-Identifier: Apache-2.0
"""Cinder's rules for multi-attach volumes, by its API, as an ordinary member."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from cinderclient import exceptions
from keystoneauth1.exceptions import NotFound

from lab import attachments
from lab.attachments import Attached
from lab.cluster import Cluster
from lab.demo import BACKEND, USER
from tests.lab import shared
from tests.lab.shared import Shared, writing

_GIB = 2**30


@contextlib.contextmanager
def _plain(cluster: Cluster) -> Iterator[Any]:
    """Create a volume that is not multi-attach, and delete it behind the block."""
    admin, cinder = cluster.clients.volume("admin"), cluster.clients.volume(USER)
    kind = admin.volume_types.create("plain")
    kind.set_keys({"volume_backend_name": BACKEND})
    made = cinder.volumes.create(1, volume_type="plain")
    yield attachments.wait_for_status(cinder, made.id, "available")
    attachments.wait_for_status(cinder, made.id, "available")
    cinder.volumes.delete(made.id)
    attachments.wait_until_deleted(cinder, made.id)
    admin.volume_types.delete(kind)


def _refused(call: Any, *arguments: Any, **named: Any) -> str:
    with pytest.raises(exceptions.ClientException) as refused:
        call(*arguments, **named)
    assert refused.value.code in (400, 409)
    return str(refused.value)


def _size(host: Attached) -> int:
    host.node.call("lab.guest.disk", "look_again", host.path)
    return int(host.node.run(f"blockdev --getsize64 {host.path}"))


def test_a_volume_is_retyped_both_ways_while_nobody_has_it(cluster: Cluster) -> None:
    cinder = cluster.clients.volume(USER)
    with shared.kind(cluster) as multi, _plain(cluster) as plain:
        for kind, multiattach in ((multi, True), ("plain", False)):
            cinder.volumes.retype(plain.id, kind, "never")
            found = attachments.wait_for_status(cinder, plain.id, "available")
            assert (found.multiattach, found.volume_type) == (multiattach, kind)
        volume = Shared(cluster, plain.id)
        attachment, _information = volume.let_in("compute3")
        said = _refused(cinder.volumes.retype, plain.id, multi, "never")
        assert "available" in said
        said = _refused(cinder.attachments.create, plain.id, None, None)
        assert "in-use" in said
        volume.end(attachment)


def test_no_volume_is_encrypted_and_multiattach(cluster: Cluster) -> None:
    admin, cinder = cluster.clients.volume("admin"), cluster.clients.volume(USER)
    with shared.kind(cluster) as multi, _plain(cluster) as plain:
        kind = next(one for one in admin.volume_types.list() if one.name == multi)
        luks = {"provider": "luks", "control_location": "front-end"}
        admin.volume_encryption_types.create(kind, luks)
        # Cinder's API means to refuse this, and looks in the wrong place.
        cinder.volumes.retype(plain.id, multi, "never")
        found = attachments.wait_for_status(cinder, plain.id, "available")
        assert found.volume_type == "plain"
        said = cluster.work.log("cinder-scheduler").read_text()
        assert f"for volume {plain.id} of type {multi}: an encrypted" in said
        admin.volume_encryption_types.delete(kind)


def test_a_volume_grows_while_two_hosts_use_it(cluster: Cluster) -> None:
    cinder = cluster.clients.volume(USER)
    with shared.volume(cluster) as volume:
        hosts = [volume.attach("compute1"), volume.attach("compute2")]
        with writing(hosts[0], 1) as seen:
            assert [_size(host) for host in hosts] == [_GIB, _GIB]
            cinder.volumes.extend(volume.id, 2)
            attachments.wait_for_status(cinder, volume.id, "in-use")
            assert [_size(host) for host in hosts] == [2 * _GIB, 2 * _GIB]
            hosts[1].write(2 * _GIB // 4096 - 1, "in the new part")
            assert hosts[0].read(2 * _GIB // 4096 - 1) == "in the new part"
        assert seen["errors"] == []
        for host in hosts:
            volume.detach(host)


def test_what_can_be_done_with_a_volume_that_two_hosts_use(cluster: Cluster) -> None:
    cinder, admin = cluster.clients.volume(USER), cluster.clients.volume("admin")
    with shared.volume(cluster) as volume:
        host = volume.attach("compute1")
        second, _information = volume.let_in("compute3")
        host.write(1, "as it was")
        snapshot = cinder.volume_snapshots.create(volume.id, force=True)
        attachments.wait_for_snapshot(cinder, snapshot.id, "available")
        host.write(1, "later")

        clone = cinder.volumes.create(1, snapshot_id=snapshot.id)
        found = attachments.wait_for_status(cinder, clone.id, "available")
        assert found.multiattach
        copy = Shared(cluster, clone.id).attach("compute2")
        assert copy.read(1) == "as it was"
        Shared(cluster, clone.id).detach(copy)

        _refused(cinder.volumes.delete, volume.id)
        _refused(cinder.transfers.create, volume.id)
        _refused(cinder.volumes.revert_to_snapshot, volume.id, snapshot)
        pool = next(iter(cluster.pools()))
        _refused(admin.volumes.migrate_volume, volume.id, pool, True, False)
        assert host.read(1) == "later"

        volume.detach(host)
        volume.end(second)
        attachments.wait_for_status(cinder, volume.id, "available")
        cinder.volumes.revert_to_snapshot(volume.id, snapshot)
        attachments.wait_for_status(cinder, volume.id, "available")
        host = volume.attach("compute1")
        assert host.read(1) == "as it was"
        volume.detach(host)
        attachments.wait_for_status(cinder, clone.id, "available")
        cinder.volumes.delete(clone.id)
        attachments.wait_until_deleted(cinder, clone.id)
        attachments.wait_for_status(cinder, volume.id, "available")
        cinder.volume_snapshots.delete(snapshot.id)
        attachments.wait_for_snapshot(cinder, snapshot.id, None)


def test_the_attachments_api_is_not_there_before_its_microversion(
    cluster: Cluster,
) -> None:
    session = cluster.clients.session(USER)
    volumes = {"service_type": "block-storage"}
    for version, there in (("3.26", False), ("3.27", True)):
        headers = {"OpenStack-API-Version": f"volume {version}"}
        if there:
            session.get("/attachments", headers=headers, endpoint_filter=volumes)
        else:
            with pytest.raises(NotFound):
                session.get("/attachments", headers=headers, endpoint_filter=volumes)
