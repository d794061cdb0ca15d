# SPDX-License-Identifier: Apache-2.0
"""What an operator sees and does by the command, on real kernels."""

import json
from typing import Any

import pytest
from cinderclient import exceptions

from lab import attachments
from lab.cluster import Cluster
from lab.demo import USER
from lab.plan import VOLUME_GROUP
from tests.lab import shared
from tests.lab.shared import Shared, writing
from tests.lab.test_storage_reboot import NO_DATABASE

pytestmark = pytest.mark.in_turn(4, of="file")

_GUEST = "tests.lab.guest.operator"


def _call(
    cluster: Cluster, *arguments: str, settings: str = "", status: int = 0
) -> Any:
    """Call the command on the storage node; give what it answered."""
    done, said, complaints = cluster.nodes["storage"].call(
        _GUEST, "call", *arguments, "-f", "json", settings=settings
    )
    assert done == status, (said, complaints)
    return json.loads(said)


def test_who_uses_a_volume_is_shown_as_cinder_and_the_kernel_have_it(
    cluster: Cluster,
) -> None:
    with shared.volume(cluster) as volume:
        writer, reader = volume.attach("compute1"), volume.attach("compute2", "ro")
        key = "--param-sark=0x1"
        writer.node.run(
            f"sg_persist --out --register {key} {writer.path} && sg_persist --out "
            f"--reserve --prout-type=5 --param-rk=0x1 {writer.path}"
        )
        seen = _call(cluster, "volume", "show", volume.id)
        first, second = seen["uses"]
        for use, host, mode in ((first, writer, "rw"), (second, reader, "ro")):
            assert use["attachment"] == host.attachment
            assert use["host"] == host.node.name
            assert (use["asked"], use["enforced"]) == (mode, mode)
            assert use["logged_in"]
            assert use["address"] in host.node.run("hostname -I || ip -o address")
            assert use["remark"] == ""
        held, registered = seen["reservation"]
        assert held["holder"] == registered["registered"] == writer.node.plan.initiator
        assert "Write Exclusive" in held["kind"]
        assert seen["device"] == f"/dev/{VOLUME_GROUP}/volume-{volume.id}"
        assert seen["differences"] == []
        (row,) = [
            row
            for row in _call(cluster, "volume", "list", "--host", "compute2")
            if row["Volume"] == volume.id
        ]
        assert (row["Hosts"], row["Writing hosts"], row["Logged in"]) == (2, 1, 2)
        _topology_has_both(cluster, volume, writer, reader)
        _edit_by_hand_is_told_and_put_right(cluster, volume)
        for host in writer, reader:
            volume.detach(host)


def _topology_has_both(
    cluster: Cluster, volume: Shared, *hosts: attachments.Attached
) -> None:
    graph = _call(cluster, "topology", "--shared")
    names = {host["id"]: host["names"] for host in graph["hosts"]}
    uses = [use for use in graph["edges"] if use["volume"] == volume.id]
    for use, host, mode in zip(uses, hosts, ("rw", "ro"), strict=True):
        assert use["host"] == host.node.plan.initiator
        assert names[use["host"]] == [host.node.name]
        assert (use["enforced"], use["logged_in"]) == (mode, True)
    done, said, complaints = cluster.nodes["storage"].call(
        _GUEST, "call", "topology", "--html", "-"
    )
    assert done == 0, complaints
    assert said.startswith("<!doctype html>")
    assert hosts[0].node.plan.initiator in said


def _edit_by_hand_is_told_and_put_right(cluster: Cluster, volume: Shared) -> None:
    assert _call(cluster, "audit") == []
    acls = f"/sys/kernel/config/target/iscsi/*:volume-{volume.id}/tpgt_1/acls"
    stranger = shared.initiator("stranger")
    cluster.nodes["storage"].run(f"mkdir $(echo {acls})/{stranger}")
    rows = [
        row for row in _call(cluster, "audit", status=1) if row["Initiator"] == stranger
    ]
    assert rows, "the next pass was faster"
    assert "somebody else than the driver" in rows[0]["Cause"]
    _call(cluster, "reconcile", "--volume", volume.id, "--yes")
    assert stranger not in volume.initiators()


@pytest.mark.parametrize("settings", ["", NO_DATABASE], ids=["up", "database away"])
def test_a_fenced_host_is_out_until_a_new_attachment_is_made(
    cluster: Cluster, settings: str
) -> None:
    with shared.volume(cluster) as volume:
        bad, good = volume.attach("compute1"), volume.attach("compute2")
        with writing(good, 7) as others, writing(bad, 1) as seen:
            answer = _call(cluster, "fence", volume.id, "compute1", settings=settings)
            assert [row["Initiator"] for row in answer] == [bad.node.plan.initiator]
            assert answer[0]["Was logged in"]
            good.write(1, "fenced")
            assert volume.initiators() == {good.node.plan.initiator}
            # cinder-volume reads its database all the while, and reconciles.
            _call(cluster, "reconcile", "--volume", volume.id, "--yes")
            assert volume.initiators() == {good.node.plan.initiator}
            assert good.read(1) == "fenced"
        assert seen["errors"] != []
        assert others["errors"] == []
        _is_not_let_in_by_what_it_has(volume, bad)
        # Not by os-brick, which cannot flush a disk that is gone.
        target = bad.information["target_iqn"]
        for what in ("--logout", "-o delete"):
            bad.node.run(f"iscsiadm -m node -T {target} {what} || true")
        volume.end(bad.attachment)
        again = volume.attach("compute1")
        assert again.read(1) == "fenced"
        for host in again, good:
            volume.detach(host)


def _is_not_let_in_by_what_it_has(volume: Shared, bad: attachments.Attached) -> None:
    """See that Nova's hard reboot, for one, gets no connection by the attachment."""
    cinder = volume.cluster.clients.volume(USER, "nova")
    connector = {
        "host": bad.node.name,
        "ip": "198.51.100.99",
        "initiator": bad.node.plan.initiator,
        "multipath": False,
    }
    with pytest.raises(exceptions.ClientException):
        cinder.attachments.update(bad.attachment, connector)
    assert bad.node.plan.initiator not in volume.initiators()


def test_the_node_of_a_cluster_is_right_and_its_database_is_looked_at(
    cluster: Cluster,
) -> None:
    rows = {row["Check"]: row for row in _call(cluster, "check")}
    failed = [row for row in rows.values() if row["Result"] == "failed"]
    assert failed == []
    for check in (
        "privileged-process",
        "lvm-commands",
        "database",
        "schema",
        "service",
    ):
        assert rows[check]["Result"] == "ok", rows[check]
    assert rows["database"]["Found"].startswith(("mysql", "mariadb"))
    assert "s behind" not in rows["clock"]["Found"]
    rows = {
        row["Check"]: row
        for row in _call(cluster, "check", settings=NO_DATABASE, status=1)
    }
    assert rows["database"]["Result"] == "failed"
    assert rows["lvm-commands"]["Result"] == rows["records"]["Result"] == "ok"
