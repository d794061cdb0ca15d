# SPDX-License-Identifier: Apache-2.0
"""Cinder's rules for multi-attach volumes, by its API, as an ordinary member."""

import json
from typing import Any

import pytest
from cinderclient import exceptions
from keystoneauth1.exceptions import BadRequest, NotFound

from lab import attachments
from lab.attachments import Attached
from lab.cluster import Cluster
from lab.demo import BACKEND, USER
from lab.plan import CONTROL
from lab.services.cinder import PORT
from tests.lab import shared
from tests.lab.shared import Shared, writing

pytestmark = pytest.mark.in_turn(5, of="file")

_GIB = 2**30


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
    with shared.volume_type(cluster) as multi, shared.plain(cluster) as plain:
        for volume_type, multiattach in ((multi, True), ("plain", False)):
            cinder.volumes.retype(plain.id, volume_type, "never")
            found = attachments.wait_for_status(cinder, plain.id, "available")
            assert (found.multiattach, found.volume_type) == (multiattach, volume_type)
        volume = Shared(cluster, plain.id)
        attachment, _information = volume.let_in("compute3")
        said = _refused(cinder.volumes.retype, plain.id, multi, "never")
        assert "available" in said
        said = _refused(cinder.attachments.create, plain.id, None, None)
        assert "in-use" in said
        volume.end(attachment)


def test_no_volume_is_encrypted_and_multiattach(cluster: Cluster) -> None:
    admin, cinder = cluster.clients.volume("admin"), cluster.clients.volume(USER)
    with shared.volume_type(cluster) as multi, shared.plain(cluster) as plain:
        volume_type = next(
            listed for listed in admin.volume_types.list() if listed.name == multi
        )
        luks = {"provider": "luks", "control_location": "front-end"}
        admin.volume_encryption_types.create(volume_type, luks)
        # Cinder's API means to refuse this, and looks in the wrong place.
        cinder.volumes.retype(plain.id, multi, "never")
        found = attachments.wait_for_status(cinder, plain.id, "available")
        assert found.volume_type == "plain"
        said = cluster.work.log("cinder-scheduler").read_text()
        assert f"for volume {plain.id} of type {multi}: an encrypted" in said
        admin.volume_encryption_types.delete(volume_type)


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


def test_a_volume_that_nobody_has_is_given_to_another_project(cluster: Cluster) -> None:
    cinder, other = cluster.clients.volume(USER), cluster.clients.volume("other")
    with shared.volume_type(cluster) as volume_type:
        made = cinder.volumes.create(1, volume_type=volume_type)
        attachments.wait_for_status(cinder, made.id, "available")
        offer = cinder.transfers.create(made.id)
        other.transfers.accept(offer.id, offer.auth_key)
        found = attachments.wait_for_status(other, made.id, "available")
        assert found.multiattach
        with pytest.raises(exceptions.NotFound):
            cinder.volumes.get(made.id)
        hosts = [
            attachments.attach(cluster.clients, "other", cluster.nodes[name], made.id)
            for name in ("compute1", "compute2")
        ]
        hosts[0].write(1, "by the new owner")
        assert hosts[1].read(1) == "by the new owner"
        for host in hosts:
            attachments.detach(cluster.clients, "other", host)
        attachments.wait_for_status(other, made.id, "available")
        other.volumes.delete(made.id)
        attachments.wait_until_deleted(other, made.id)


def test_types_are_made_by_the_usual_commands(cluster: Cluster) -> None:
    for command in (
        "cinder type-create by-command",
        f"cinder type-key by-command set volume_backend_name={BACKEND} "
        "multiattach='<is> True' taikun:secondary_mode=ro",
        "openstack volume type set --property taikun:max_hosts=2 by-command",
    ):
        cluster.run_client("admin", command)
    created = cluster.run_client(
        USER,
        "openstack volume create --size 1 --type by-command made --format json",
    )
    volume = json.loads(created)["id"]
    cinder, admin = cluster.clients.volume(USER), cluster.clients.volume("admin")
    found = attachments.wait_for_status(cinder, volume, "available")
    assert found.multiattach
    (pool,) = (name for name in cluster.pools() if f"@{BACKEND}#" in name)
    shown = cluster.run_client(
        "admin", f"cinder get-capabilities {pool.partition('#')[0]}"
    )
    for words in ("taikun:secondary_mode", "taikun:max_hosts", "Hosts per volume"):
        assert words in shown
    shown = cluster.run_client("admin", "cinder get-pools --detail")
    for words in ("read_only_enforced", "hosts_per_volume", "multiattach_only"):
        assert words in shown
    cinder.volumes.delete(volume)
    attachments.wait_until_deleted(cinder, volume)
    admin.volume_types.delete(admin.volume_types.find(name="by-command"))


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


def test_the_api_has_the_microversions_of_multiattach(cluster: Cluster) -> None:
    address = f"http://{CONTROL}:{PORT}/"
    shown = cluster.clients.session(USER).get(address).json()
    (v3,) = (version for version in shown["versions"] if version["id"] == "v3.0")
    newest = tuple(map(int, v3["version"].split(".")))
    # 3.27: attachments; 3.44: attachment complete; 3.50: multi-attach; 3.54: modes.
    assert newest >= (3, 54)
    with shared.volume(cluster) as volume:
        for microversion in ("3.27", "3.50", "3.54"):
            old = cluster.clients.volume(USER, "nova", microversion)
            assert old.volumes.get(volume.id).multiattach
    session = cluster.clients.session(USER)
    with shared.volume(cluster) as volume:
        with pytest.raises(BadRequest) as refused:
            session.post(
                "/attachments",
                headers={"OpenStack-API-Version": "volume 3.53"},
                endpoint_filter={"service_type": "block-storage"},
                json={"attachment": {"volume_uuid": volume.id, "mode": "ro"}},
            )
        assert refused.value.response is not None
        assert "'mode' was unexpected" in refused.value.response.text
