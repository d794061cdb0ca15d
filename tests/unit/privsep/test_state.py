# SPDX-License-Identifier: Apache-2.0
"""Whatever is in configfs is told as it is."""

import errno

import pytest
from hypothesis import given, settings

from taikun_cinder.access.model import Credentials, Portal, Sealed
from taikun_cinder.privsep import cipher, lio
from taikun_cinder.privsep.refusal import KernelRefused
from taikun_cinder.targets.lio.states import (
    ATTRIBUTES,
    LUN,
    AclState,
    BackstoreState,
    LioState,
    MappedLunState,
    TargetState,
    TpgState,
)
from tests.contract.suite import A, B, C, grant
from tests.unit.privsep.build import (
    CLOSED,
    Variant,
    build,
    node_with_devices,
    possible,
    variants,
)
from tests.unit.privsep.configfs import Attribute, refuse
from tests.unit.privsep.node import ImitatedKernel
from tests.unit.targets.lio.states import DEVICE, HOSTS, NAME, SERIAL, states

KEY = cipher.new_key()


@settings(max_examples=80)
@given(states(), variants)
def test_any_state_is_told_as_it_is(state, variant):
    node, state = node_with_devices(), possible(state)
    build(node, state, variant)
    assert ImitatedKernel(node).read(NAME, search=True) == state


@pytest.mark.parametrize("closed", CLOSED)
def test_acl_by_which_nobody_proves_who_he_is_has_no_credentials(closed):
    alone = AclState()
    mapped = AclState(mapped={LUN: MappedLunState(LUN, write_protect=False)})
    acls = {HOSTS[0]: alone, HOSTS[1]: alone if closed == "capitals" else mapped}
    tpg = TpgState(attributes=ATTRIBUTES, luns={LUN: NAME}, acls=acls)
    backstore = BackstoreState(DEVICE, SERIAL, active=True)
    state = LioState(NAME, backstore, TargetState(tpg))
    node = node_with_devices()
    build(node, state, Variant(closed=closed))
    assert ImitatedKernel(node).read(NAME) == state


def test_passwords_are_told_to_nobody_and_can_be_compared(lab):
    lab.ensure(lab.export(grant(A)))
    with lab.node.mounted():
        told = lio.read(lab.name, KEY)
    assert grant(A).credentials.password not in repr(told)
    username, digest = told["target"]["tpg"]["acls"][str(A)]["credentials"]
    sealed = Sealed(username, digest, cipher.labelled(KEY, str(A)))
    assert sealed == grant(A).credentials
    assert sealed != grant(A, secret="another").credentials
    assert sealed != grant(B).credentials


def test_only_the_acls_that_are_asked_for_are_told_in_whatever_case(lab):
    lab.ensure(lab.export(grant(A), grant(B)))
    lab.node.make(f"{lab.tpg}/acls/{str(C).upper()}")
    with lab.node.mounted():
        told = lio.read(lab.name, KEY, initiators=[str(A), str(C)])
    assert told["target"]["tpg"]["acls"].keys() == {str(A), str(C).upper()}


def test_a_host_that_came_in_without_an_acl_is_told(lab):
    lab.ensure(lab.export(grant(A)))
    lab.node.put(f"{lab.tpg}/attrib/generate_node_acls", "1")
    lab.node.put(f"{lab.tpg}/attrib/authentication", "0")
    for host in (B, C):
        lab.node.login(lab.name, lab.world.portals[0], host, None)
    lab.node.put(f"{lab.tpg}/attrib/generate_node_acls", "0")
    assert lab.connected() == {B, C}
    found = lab.kernel.read(lab.name).acls[B]
    assert (found.credentials, found.mapped) == (None, {})
    assert lab.kernel.read(lab.name, about=[C]).sessions == {C}


def test_a_mapped_lun_whose_lun_lost_its_backstore_leads_nowhere(lab):
    lab.ensure(lab.export(grant(A)))
    lab.node.unlink(f"{lab.tpg}/lun/lun_0/backstore")
    observed = lab.kernel.read(lab.name)
    assert observed.luns == {LUN: None}
    assert observed.acls[A].mapped == {LUN: MappedLunState(None, write_protect=True)}
    # The same LUN does not bring it back.
    lab.node.link(f"{lab.tpg}/lun/lun_0/again", _backstore(lab))
    assert lab.kernel.read(lab.name).acls[A].mapped[LUN].lun is None


def test_a_lun_of_another_kind_of_backstore_is_told_by_where_that_is(lab):
    lab.ensure(lab.export())
    lab.node.make("core/fileio_3")
    lab.node.make(f"core/fileio_3/{lab.name}")
    lab.node.put(f"core/fileio_3/{lab.name}/control", f"fd_dev_name={lab.device}")
    lab.node.put(f"core/fileio_3/{lab.name}/enable", "1")
    lab.node.make(f"{lab.tpg}/lun/lun_1")
    lab.node.link(f"{lab.tpg}/lun/lun_1/x", f"core/fileio_3/{lab.name}")
    found = lab.kernel.read(lab.name)
    assert found.luns == {0: lab.name, 1: f"fileio_3/{lab.name}"}


def test_addresses_are_told_in_the_shortest_form(lab):
    lab.ensure(lab.export())
    lab.node.make(f"{lab.tpg}/np/[2001:0db8::0001]:3261")
    found = lab.kernel.read(lab.name).tpg.portals
    assert found == {lab.world.portals[0], Portal("2001:db8::1", 3261)}


def test_a_backstore_without_its_target_is_searched_for_only_if_asked(lab):
    _leave_in_tree_backstore(lab)
    assert lab.kernel.read(lab.name).backstore is None
    found = lab.kernel.read(lab.name, search=True).backstore
    assert (found.device, found.serial) == (lab.device, "in-tree")


def test_a_backstore_beside_its_target_is_searched_for_without_being_asked(lab):
    _leave_in_tree_backstore(lab)
    lab.node.make(f"iscsi/{lab.name}")
    assert lab.kernel.read(lab.name).backstore.serial == "in-tree"


def test_what_the_kernel_does_not_tell_is_an_error_that_names_it(lab):
    lab.ensure(lab.export(grant(A)))
    tpg = lab.node.configfs.folder(f"target/{lab.tpg}")
    tpg.attributes["enable"] = Attribute(lambda: refuse(errno.EIO))
    with lab.node.mounted(), pytest.raises(KernelRefused) as caught:
        lio.read(lab.name, KEY)
    assert (caught.value.step, caught.value.number) == (-1, errno.EIO)
    assert caught.value.path.endswith("/tpgt_1/enable")


def test_a_login_without_proof_counts_as_no_credentials(lab):
    lab.ensure(lab.export(grant(A)))
    acl = f"{lab.tpg}/acls/{A}"
    assert lab.kernel.read(lab.name).acls[A].credentials == grant(A).credentials
    lab.node.put(f"{acl}/attrib/authentication", "1")
    assert lab.kernel.read(lab.name).acls[A].credentials == grant(A).credentials
    lab.node.put(f"{acl}/attrib/authentication", "0")
    assert lab.kernel.read(lab.name).acls[A].credentials is None
    lab.node.login(lab.name, lab.world.portals[0], A, Credentials("any", "thing"))


def _backstore(lab):
    (folder,) = (
        found
        for hba in lab.node.configfs.folder("target/core").folders.values()
        for found in hba.folders.values()
        if found.name == lab.name
    )
    return "/".join(folder.path[1:])


def _leave_in_tree_backstore(lab):
    lab.node.set_up()
    path = f"core/iblock_0/{lab.name}"
    lab.node.make("core/iblock_0")
    lab.node.make(path)
    lab.node.put(f"{path}/wwn/vpd_unit_serial", "in-tree")
    lab.node.put(f"{path}/control", f"udev_path={lab.device}")
    lab.node.put(f"{path}/udev_path", lab.device)
    lab.node.put(f"{path}/enable", "1")
