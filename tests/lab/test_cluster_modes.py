# SPDX-License-Identifier: Apache-2.0
"""Modes and rules through the whole of Cinder: its API, its bus, its database."""

import pytest
from cinderclient import exceptions

from lab import attachments
from lab.cluster import Cluster
from lab.demo import USER
from tests.lab import shared

pytestmark = pytest.mark.in_turn(4, of="file")


def test_a_mode_that_comes_in_one_request_with_the_connector(cluster: Cluster) -> None:
    with shared.volume(cluster) as volume:
        hosts = []
        for name, mode in (("compute1", "ro"), ("compute2", None)):
            node = cluster.nodes[name]
            host = attachments.attach_in_one(
                cluster.clients, USER, node, volume.id, mode
            )
            hosts.append(host)
            seen = node.call("lab.guest.disk", "is_read_only", host.path)
            assert seen is (mode == "ro")
        reader, writer = hosts
        writer.write(1, "by the writer")
        assert reader.read(1) == "by the writer"
        said = reader.node.call("lab.guest.disk", "write_raw", reader.path, "by force")
        assert "Write protected" in said
        for host in hosts:
            volume.detach(host)


def test_the_rule_of_a_type_is_kept_and_told(cluster: Cluster) -> None:
    with shared.volume(cluster, secondary_mode="ro", max_hosts="2") as volume:
        writer, reader = volume.attach("compute1"), volume.attach("compute2")
        modes = [host.information["access_mode"] for host in (writer, reader)]
        assert modes == ["rw", "ro"]
        said = reader.node.call("lab.guest.disk", "write_raw", reader.path, "by force")
        assert "Write protected" in said
        with pytest.raises(exceptions.ClientException) as refused:
            volume.let_in("compute3")
        text = str(refused.value)
        assert volume.id in text
        assert "compute3" in text
        assert "its limit is 2" in text
        _forget_the_refused(cluster, volume)
        volume.detach(writer)
        volume.detach(reader)


def test_the_only_server_moves_and_writes_on(cluster: Cluster) -> None:
    with shared.volume(cluster, secondary_mode="deny") as volume:
        before = volume.attach("compute1")
        with shared.writing(before, 1) as seen:
            with pytest.raises(exceptions.ClientException, match="deny"):
                volume.let_in("compute3")
            _forget_the_refused(cluster, volume)
            node = cluster.nodes["compute2"]
            after = attachments.attach_in_one(
                cluster.clients, USER, node, volume.id, server=before.server
            )
            after.write(2, "on its new host")
        assert seen["errors"] == []
        volume.detach(before)
        after.write(2, "on its new host alone")
        volume.detach(after)


def test_a_file_system_for_one_is_guarded(cluster: Cluster) -> None:
    with shared.volume(cluster, filesystem_guard="deny") as volume:
        writer = volume.attach("compute1")
        writer.node.run(f"mkfs.ext4 -q -F {writer.path}")
        with pytest.raises(exceptions.ClientException) as refused:
            volume.let_in("compute3")
        for word in (volume.id, "compute3", writer.server, "it has ext4", "mode ro"):
            assert word in str(refused.value)
        _forget_the_refused(cluster, volume)
        reader = volume.attach("compute2", "ro")
        assert reader.information["access_mode"] == "ro"
        volume.detach(reader)
        writer.node.call("tests.lab.guest.contents", "fill", writer.path, "OCFS2")
        second = volume.attach("compute2")
        second.write(5000, "beside the first")
        assert writer.read(5000) == "beside the first"
        volume.detach(second)
        volume.detach(writer)


def _forget_the_refused(cluster: Cluster, volume: shared.Shared) -> None:
    """Delete what was only reserved, as Nova does when an attach fails."""
    cinder = cluster.clients.volume(USER)
    for attachment in cinder.attachments.list(search_opts={"volume_id": volume.id}):
        if attachment.status != "attached":
            volume.end(attachment.id)
