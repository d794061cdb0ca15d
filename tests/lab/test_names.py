# SPDX-License-Identifier: Apache-2.0
"""Names by hand, and names that are not ours, on a real kernel (laws 3, 7)."""

from dataclasses import replace

import pytest

from lab.single import SingleNode
from tests.contract.suite import A, B, grant
from tests.lab.lio_world import NodeLab

_CONF = "/etc/taikun_cinder/privileged.conf"
_ISCSI = "/sys/kernel/config/target/iscsi"


def test_names_by_hand_that_the_kernel_takes_are_read_and_put_right(
    node: SingleNode, lab: NodeLab
) -> None:
    wanted = lab.export(grant(A), grant(B))
    lab.ensure(wanted)
    session = lab.login(grant(A))
    target = f"{_ISCSI}/{lab.name}"
    for folder in (
        "tpgt_1/lun/lun_0x1",
        "tpgt_1/lun/lun_010",
        f"tpgt_1/acls/{B}/lun_0x7",
        "tpgt_1/np/[::1%lo]:3999",
        "tpgt_1/np/127.0.0.1:0xf9f",
        "tpgt_0x2",
        "xtpgt_3",
    ):
        node.node.run(f"mkdir '{target}/{folder}'")
    assert {finding.kind for finding in lab.target.findings(lab.name, wanted)} == {
        "lun",
        "mapped-lun",
        "other-tpg",
        "extra-portal",
    }
    lab.target.ensure(lab.name, wanted)
    assert session.alive
    session.logout()
    lab.target.ensure(lab.name, wanted)
    assert lab.target.findings(lab.name, wanted) == ()
    made = ("tpgt_010", "ytpgt_1", "tpgt_1/lun/lun_0x9", "tpgt_1/np/[::1%lo]:3998")
    for folder in made:
        node.node.run(f"mkdir '{target}/{folder}'")
    lab.target.ensure(lab.name, None)
    assert node.node.run(f"ls {_ISCSI} | grep -c ^iqn || true").strip() == "0"
    assert not lab.world.in_use(lab.device)


def test_root_exports_nothing_that_is_not_ours(node: SingleNode, lab: NodeLab) -> None:
    wanted = lab.export(grant(A))
    refused = "root allows|not that logical volume|no path"
    mapper = f"/dev/mapper/{lab.device.removeprefix('/dev/').replace('-', '--')}"
    mapper = mapper.replace("/cinder--volumes/", "/cinder--volumes-")
    node.node.run("ln -sfn /dev/ubda /dev/cinder-volumes/volume-linked")
    try:
        for device in (
            "/dev/ubda",
            mapper,
            "/dev/cinder-volumes/volume-linked",
        ):
            with pytest.raises(Exception, match=refused):
                lab.target.ensure(lab.name, replace(wanted, device=device))
    finally:
        node.node.run("rm /dev/cinder-volumes/volume-linked")
    for name in ("iqn.2003-01.org.linux-iscsi:x", f"{lab.world.prefix}volume-*"):
        with pytest.raises(Exception, match="target_prefixes"):
            lab.target.ensure(name, replace(wanted, target=name))
        with pytest.raises(Exception, match="target_prefixes"):
            lab.target.read(name)
    node.node.run(f"cp {_CONF} /tmp/conf; sed -i s/cinder-volumes,// {_CONF}")
    try:
        with pytest.raises(Exception, match=f"volume_groups .*{_CONF}"):
            lab.target.ensure(lab.name, wanted)
        node.node.run(f"chown daemon {_CONF}")
        with pytest.raises(Exception, match=f"chown root {_CONF}"):
            lab.target.ensure(lab.name, wanted)
    finally:
        node.node.run(f"chown root {_CONF}; cp /tmp/conf {_CONF}")
    assert lab.target.names(lab.world.prefix) == frozenset()
    lab.ensure(wanted)
    lab.login(grant(A)).write(b"ours")
