# SPDX-License-Identifier: Apache-2.0
"""The imitated kernel has the rules of the real one that the driver is built on.

Each test names the function of the kernel that has the rule.
"""

import errno

import pytest

from taikun_cinder.access.model import Credentials, Portal
from tests.contract.suite import A, B
from tests.contract.world import LoginRefused
from tests.unit.privsep import sessions
from tests.unit.privsep.configfs import number

TARGET = "iscsi/iqn.2010-10.org.openstack:volume-1"
TPG = f"{TARGET}/tpgt_1"
BACKSTORE = "core/iblock_0/volume-1"
DEVICE = "/dev/vg/volume-1"
PORTAL = Portal("192.0.2.1")
PAIR = Credentials("user", "password")


@pytest.fixture
def node(storage):
    """Give a node with an export for A, made by hand."""
    storage.add_device(DEVICE)
    for path in ("core/iblock_0", BACKSTORE, TARGET, TPG, f"{TPG}/np/{PORTAL}"):
        storage.make(path)
    storage.put(f"{BACKSTORE}/control", f"udev_path={DEVICE}")
    storage.put(f"{BACKSTORE}/enable", "1")
    for path in (f"{TPG}/lun/lun_0", f"{TPG}/acls/{A}", f"{TPG}/acls/{A}/lun_0"):
        storage.make(path)
    storage.link(f"{TPG}/lun/lun_0/x", BACKSTORE)
    storage.link(f"{TPG}/acls/{A}/lun_0/y", f"{TPG}/lun/lun_0")
    storage.put(f"{TPG}/acls/{A}/auth/userid", PAIR.username)
    storage.put(f"{TPG}/acls/{A}/auth/password", PAIR.password)
    storage.put(f"{TPG}/enable", "1")
    return storage


def login(node, host=A, proof=PAIR):
    return node.login(TARGET.partition("/")[2], PORTAL, host, proof)


def refused(code, call, *arguments):
    with pytest.raises(OSError, match=r"\w") as caught:
        call(*arguments)
    assert caught.value.errno == code


def rmdir(node, path):
    node.configfs.rmdir(f"target/{path}")


def test_what_a_link_leads_to_or_has_something_in_it_stays(node):
    """configfs_detach_prep()."""
    refused(errno.EBUSY, rmdir, node, f"{TPG}/lun/lun_0")
    refused(errno.EBUSY, rmdir, node, BACKSTORE)
    refused(errno.ENOTEMPTY, rmdir, node, f"{TPG}/acls/{A}/lun_0")
    refused(errno.ENOTEMPTY, rmdir, node, f"{TPG}/acls/{A}")
    refused(errno.ENOTEMPTY, rmdir, node, TPG)
    refused(errno.ENOTEMPTY, rmdir, node, "core/iblock_0")
    refused(errno.EPERM, rmdir, node, f"{TPG}/acls")
    refused(errno.EPERM, node.make, f"{TPG}/attrib/x")


def test_lun_goes_from_all_initiators_with_its_backstore_and_links_stay(node):
    """core_clear_lun_from_tpg()."""
    session = login(node)
    node.unlink(f"{TPG}/lun/lun_0/x")
    assert session.alive
    assert session.device is None
    assert node.get(f"{TPG}/acls/{A}/lun_0/write_protect") == ""
    refused(errno.EBUSY, rmdir, node, f"{TPG}/lun/lun_0")
    node.link(f"{TPG}/lun/lun_0/x", BACKSTORE)
    assert session.device is None
    node.unlink(f"{TPG}/acls/{A}/lun_0/y")
    node.link(f"{TPG}/acls/{A}/lun_0/y", f"{TPG}/lun/lun_0")
    assert session.device == DEVICE


def test_mapped_lun_begins_as_the_tpg_says_and_not_as_was_written(node):
    """target_fabric_mappedlun_link() and core_update_device_list_access()."""
    mapped = f"{TPG}/acls/{A}/lun_0"
    node.unlink(f"{mapped}/y")
    node.put(f"{mapped}/write_protect", "1")
    assert node.get(f"{mapped}/write_protect") == ""
    node.link(f"{mapped}/y", f"{TPG}/lun/lun_0")
    assert node.get(f"{mapped}/write_protect") == "0"
    refused(errno.EINVAL, node.link, f"{mapped}/z", f"{TPG}/lun/lun_0")
    node.unlink(f"{mapped}/y")
    node.put(f"{TPG}/attrib/prod_mode_write_protect", "1")
    node.link(f"{mapped}/y", f"{TPG}/lun/lun_0")
    assert node.get(f"{mapped}/write_protect") == "1"


def test_initiator_that_came_in_uninvited_keeps_its_luns_when_it_gets_an_acl(node):
    """core_tpg_add_initiator_node_acl()."""
    node.put(f"{TPG}/attrib/generate_node_acls", "1")
    node.put(f"{TPG}/attrib/authentication", "0")
    session = login(node, B, None)
    assert node.get(f"{TPG}/dynamic_sessions") == f"{B}\n\0"
    node.make(f"{TPG}/acls/{B}")
    assert node.get(f"{TPG}/dynamic_sessions") == ""
    node.make(f"{TPG}/acls/{B}/lun_0")
    assert node.get(f"{TPG}/acls/{B}/lun_0/write_protect") == "1"
    assert (session.device, session.may_write) == (DEVICE, False)
    rmdir(node, f"{TPG}/acls/{B}/lun_0")
    rmdir(node, f"{TPG}/acls/{B}")
    assert not session.alive


def test_who_has_no_lun_0_reads_what_is_in_the_kernels_memory(node):
    """transport_lookup_cmd_lun(), and rd_execute_rw() of a device with rd_nullio."""
    session = login(node)
    node.unlink(f"{TPG}/acls/{A}/lun_0/y")
    assert session.alive
    assert session.read() == sessions.CHANCE
    with pytest.raises(OSError, match="disk"):
        session.other(1).read()
    node.link(f"{TPG}/acls/{A}/lun_0/y", f"{TPG}/lun/lun_0")
    assert session.read() != sessions.CHANCE


def test_session_ends_when_its_acl_gets_another_depth(node):
    """core_tpg_set_initiator_node_queue_depth()."""
    session, depth = login(node), f"{TPG}/acls/{A}/cmdsn_depth"
    node.put(depth, node.get(depth))
    assert session.alive
    node.put(depth, "65")
    assert not session.alive
    assert login(node).alive
    refused(errno.EINVAL, node.put, depth, "0")


@pytest.mark.parametrize(("path", "text"), [("enable", "0"), (f"acls/{A}", None)])
def test_sessions_end_with_the_tpg_and_with_the_acl(node, path, text):
    """iscsit_release_sessions_for_tpg() and core_tpg_del_initiator_node_acl()."""
    session = login(node)
    if text is not None:
        node.put(f"{TPG}/{path}", text)
    else:
        node.unlink(f"{TPG}/acls/{A}/lun_0/y")
        rmdir(node, f"{TPG}/acls/{A}/lun_0")
        rmdir(node, f"{TPG}/acls/{A}")
    assert not session.alive
    with pytest.raises(LoginRefused):
        login(node)


def test_backstore_is_fixed_once_it_is_enabled_or_exported(node):
    """target_configure_device(), target_wwn_vpd_unit_serial_store() and iblock."""
    refused(errno.EEXIST, node.put, f"{BACKSTORE}/enable", "1")
    refused(errno.EEXIST, node.put, f"{BACKSTORE}/control", "udev_path=/dev/vg/x")
    refused(errno.EINVAL, node.put, f"{BACKSTORE}/wwn/vpd_unit_serial", "another")
    node.make("core/iblock_0/second")
    refused(errno.EINVAL, node.put, "core/iblock_0/second/enable", "1")
    refused(errno.ENODEV, _link_second, node)
    node.put("core/iblock_0/second/control", f"udev_path={DEVICE}")
    refused(errno.EBUSY, node.put, "core/iblock_0/second/enable", "1")
    node.put("core/iblock_0/second/control", "udev_path=/dev/vg/there-is-none")
    refused(errno.ENOENT, node.put, "core/iblock_0/second/enable", "1")


def _link_second(node):
    node.make(f"{TPG}/lun/lun_1")
    node.link(f"{TPG}/lun/lun_1/x", "core/iblock_0/second")


def test_link_of_a_mapped_lun_stays_within_its_tpg(node):
    """target_fabric_mappedlun_link()."""
    for path in ("", f"/acls/{A}", f"/acls/{A}/lun_0"):
        node.make(f"{TARGET}/tpgt_2{path}")
    mapped = f"{TARGET}/tpgt_2/acls/{A}/lun_0/y"
    refused(errno.EINVAL, node.link, mapped, f"{TPG}/lun/lun_0")
    refused(errno.EFAULT, node.link, mapped, BACKSTORE)


def test_secret_that_begins_with_null_is_none_and_one_that_is_too_long_is_refused(node):
    """__DEF_NACL_AUTH_STR()."""
    node.put(f"{TPG}/acls/{A}/auth/password", "NULL")
    with pytest.raises(LoginRefused):
        login(node, A, Credentials("user", "NULL"))
    refused(errno.EINVAL, node.put, f"{TPG}/acls/{A}/auth/userid", "x" * 256)


def test_nobody_listens_twice(node):
    """iscsit_tpg_check_network_portal() and inet_csk_get_port()."""
    refused(errno.EINVAL, node.make, f"{TPG}/np/0.0.0.0:3260")
    refused(errno.EINVAL, node.make, f"{TPG}/np/[::]:3260")
    refused(errno.EINVAL, node.make, f"{TPG}/np/name:3260")
    node.make(f"{TARGET}-another")
    node.make(f"{TARGET}-another/tpgt_1")
    node.make(f"{TARGET}-another/tpgt_1/np/{PORTAL}")
    refused(errno.EINVAL, node.make, f"{TARGET}-another/tpgt_1/np/0.0.0.0:3260")


@pytest.mark.parametrize(
    ("text", "value"), [("1\n", 1), ("0x10", 16), ("010", 8), ("0", 0), ("-1", -1)]
)
def test_numbers_are_read_as_the_kernel_does(text, value):
    """kstrtol() with the base 0."""
    assert number(text) == value


@pytest.mark.parametrize("text", ["", "x", "1 2", "08"])
def test_what_is_no_number_is_refused(text):
    refused(errno.EINVAL, number, text)
