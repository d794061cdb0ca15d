# SPDX-License-Identifier: Apache-2.0
"""Each change does what it is asked for, whatever it finds, and can be repeated."""

import contextlib
import errno

import pytest

from taikun_cinder.access.model import Credentials, Grant, Mode, Portal
from taikun_cinder.privsep import deadline, files, lio
from taikun_cinder.privsep.refusal import KernelRefused
from taikun_cinder.targets.lio import disk_steps, steps
from taikun_cinder.targets.lio.states import ATTRIBUTES, LUN
from tests.contract.suite import A, B, C, grant
from tests.contract.world import LoginRefused
from tests.unit.privsep import tpg

READ_ONLY = Grant(B, grant(B).credentials, Mode.RO)


def change(lab, *what):
    """Ask for one change."""
    with lab.node.mounted():
        lio.apply(lab.name, [what])


@pytest.fixture
def shared(lab):
    """Give a volume that A may write and B may read."""
    lab.ensure(lab.export(grant(A), READ_ONLY))
    return lab


def test_each_change_can_be_repeated(lab):
    desired = lab.export(grant(A), READ_ONLY)
    taken = lab.steps(desired)
    undone = (
        steps.SetWriteProtect(A, write_protect=True),
        steps.UnmapLun(B, 0),
        steps.RemoveAcl(B),
        steps.RemovePortal(lab.world.portals[0]),
        steps.UnmapLun(A, 0),
        steps.RemoveLun(0),
        steps.RemoveTpg(2),
        steps.RemoveTarget(),
        disk_steps.RemoveBackstore(),
    )
    lab.ensure(None)
    for step in (*taken, steps.SetAttribute("authentication", 1), *undone):
        lab.kernel.apply(lab.name, [step])
        once = lab.kernel.read(lab.name)
        lab.kernel.apply(lab.name, [step])
        assert lab.kernel.read(lab.name) == once, step


def test_new_tpg_has_its_attributes_whatever_the_kernel_begins_with(lab, monkeypatch):
    other = {name: 1 - value for name, value in ATTRIBUTES.items()}
    monkeypatch.setattr(tpg, "ATTRIBUTES", {**tpg.ATTRIBUTES, **other})
    change(lab, "create_target")
    change(lab, "create_tpg")
    found = lab.kernel.read(lab.name).tpg
    assert (found.attributes, found.enabled) == (ATTRIBUTES, False)


@pytest.mark.parametrize("protect", [True, False])
def test_mapped_lun_has_its_mode_from_the_first_moment(shared, protect):
    change(shared, "unmap_lun", str(A), 0)
    session = shared.login(grant(A))
    modes = set()
    shared.node.mount.changed = lambda: modes.add((session.device, session.may_write))
    change(shared, "map_lun", str(A), protect, 0)
    assert modes == {(None, False), (shared.device, not protect)}
    # What rtslib would map next is not read-only for that.
    assert shared.kernel.read(shared.name).tpg.attributes == ATTRIBUTES


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("begins", ["0", "1"])
@pytest.mark.parametrize("stays", [True, False])
def test_host_that_came_in_without_an_acl_gets_its_mode_and_keeps_its_disk(
    lab, mode, begins, stays
):
    lab.ensure(lab.export())
    lab.node.put(f"{lab.tpg}/attrib/demo_mode_write_protect", begins)
    lab.node.put(f"{lab.tpg}/attrib/generate_node_acls", "1")
    lab.node.put(f"{lab.tpg}/attrib/authentication", "0")
    session = lab.node.login(lab.name, lab.world.portals[0], A, None)
    if not stays:
        session.logout()  # the kernel remembers what it showed
    disks = set()
    lab.node.mount.changed = lambda: disks.add(session.device)
    lab.ensure(lab.export(Grant(A, grant(A).credentials, mode)))
    assert disks == {lab.device if stays else None}
    assert lab.login(grant(A)).may_write is (mode is Mode.RW)


def test_refused_mapped_lun_leaves_the_next_ones_as_they_would_be(shared):
    change(shared, "unmap_lun", str(B), 0)
    shared.node.unlink(f"{shared.tpg}/lun/lun_0/backstore")
    with pytest.raises(KernelRefused, match="map lun") as caught:
        change(shared, "map_lun", str(B), True, 0)
    assert caught.value.number == errno.EINVAL
    assert caught.value.path.endswith(f"acls/{B}/lun_0/lun")
    assert shared.kernel.read(shared.name).tpg.attributes == ATTRIBUTES


def test_mapped_lun_that_lost_its_effect_is_bound_anew(shared):
    shared.node.unlink(f"{shared.tpg}/lun/lun_0/backstore")
    change(shared, "add_lun", 0)
    assert shared.login(grant(A)).device is None
    change(shared, "map_lun", str(A), False, 0)
    assert shared.login(grant(A)).may_write


def test_write_protection_of_what_leads_nowhere_is_an_error(shared):
    shared.node.unlink(f"{shared.tpg}/acls/{A}/lun_0/lun")
    with pytest.raises(KernelRefused) as caught:
        change(shared, "set_write_protect", str(A), True, 0)
    assert caught.value.number == errno.ENOENT


def test_lun_that_leads_elsewhere_is_bound_to_the_volume(shared):
    other = shared.world.device()
    change(shared, "unmap_lun", str(A), 0)
    change(shared, "unmap_lun", str(B), 0)
    shared.node.unlink(f"{shared.tpg}/lun/lun_0/backstore")
    shared.node.make("core/iblock_0")
    shared.node.make("core/iblock_0/other")
    shared.node.put("core/iblock_0/other/control", f"udev_path={other}")
    shared.node.put("core/iblock_0/other/enable", "1")
    shared.node.link(f"{shared.tpg}/lun/lun_0/0a1b2c3d4e", "core/iblock_0/other")
    change(shared, "add_lun", 0)
    assert shared.kernel.read(shared.name).luns == {LUN: shared.name}


def test_lun_of_a_live_host_is_not_bound_anew(shared):
    session = shared.login(grant(A))
    before = shared.node.mount.changes
    change(shared, "add_lun", 0)
    assert session.may_write
    assert shared.node.mount.changes == before + 1  # the folder is there already


def test_lun_without_a_backstore_is_refused_and_says_which(lab):
    change(lab, "create_target")
    change(lab, "create_tpg")
    with pytest.raises(KernelRefused) as caught:
        change(lab, "add_lun", 0)
    assert caught.value.number == errno.ENOENT
    assert caught.value.path.endswith(lab.name)
    assert lab.kernel.read(lab.name).luns == {}


def test_removing_a_lun_that_an_initiator_sees_is_an_error(shared):
    with pytest.raises(KernelRefused, match="remove lun") as caught:
        change(shared, "remove_lun", 0)
    assert caught.value.number == errno.EBUSY
    assert LUN in shared.kernel.read(shared.name).luns


def test_dead_links_do_not_keep_a_lun(shared):
    shared.node.unlink(f"{shared.tpg}/lun/lun_0/backstore")
    change(shared, "remove_lun", 0)
    assert shared.kernel.read(shared.name).luns == {}


def test_portal_is_known_in_whatever_form_it_is_written(shared):
    shared.node.make(f"{shared.tpg}/np/[2001:0db8::0002]:3260")
    portal = Portal("2001:db8::2")
    change(shared, "add_portal", portal.address, portal.port)
    change(shared, "add_portal", portal.address, 3261)
    assert portal in shared.kernel.read(shared.name).tpg.portals
    change(shared, "remove_portal", portal.address, portal.port)
    left = shared.kernel.read(shared.name).tpg.portals
    assert left == {shared.world.portals[0], Portal("2001:db8::2", 3261)}


def test_portal_that_clashes_is_refused(shared):
    with pytest.raises(KernelRefused, match="add portal"):
        change(shared, "add_portal", "0.0.0.0", 3260)  # noqa: S104
    change(shared, "add_portal", "0.0.0.0", 3261)  # noqa: S104


def test_portal_goes_and_the_sessions_that_came_by_it_stay(shared):
    session = shared.login(grant(A))
    change(shared, "remove_portal", "192.0.2.1", 3260)
    session.write(b"goes on")
    shared.refused(grant(B))


@pytest.mark.parametrize("name", [str(C), str(C).upper()])
def test_acl_is_removed_in_whatever_case_it_is_written(shared, name):
    shared.node.make(f"{shared.tpg}/acls/{name}")
    change(shared, "remove_acl", str(C))
    acls = shared.node.configfs.folder(f"target/{shared.tpg}/acls").folders
    assert acls.keys() == {str(A), str(B)}


def test_session_without_an_acl_is_ended(shared):
    stays = shared.login(grant(A))
    shared.node.put(f"{shared.tpg}/attrib/generate_node_acls", "1")
    shared.node.put(f"{shared.tpg}/attrib/authentication", "0")
    portal = shared.world.portals[0]
    goes = shared.node.login(shared.name, portal, C, None)
    assert goes.device == shared.device
    shared.node.put(f"{shared.tpg}/attrib/generate_node_acls", "0")
    change(shared, "remove_acl", str(C))
    assert (stays.alive, goes.alive) == (True, False)
    assert shared.kernel.read(shared.name).acls.keys() == {A, B}


def test_credentials_of_an_acl_in_capitals_go_to_one_that_lets_its_host_in(lab):
    lab.ensure(lab.export())
    lab.node.make(f"{lab.tpg}/acls/{str(A).upper()}")
    change(lab, "set_credentials", str(A), "user", "password")
    change(lab, "map_lun", str(A), False, 0)
    assert lab.login(Grant(A, Credentials("user", "password"), Mode.RW)).may_write


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("attrib/authentication", "0"),
        ("auth/userid", "other"),
        ("auth/password", "NULL"),
        ("auth/userid_mutual", "target"),
    ],
)
def test_credentials_are_the_only_ones_by_which_a_host_gets_in(shared, field, value):
    acl = f"{shared.tpg}/acls/{A}"
    shared.node.put(f"{acl}/auth/password_mutual", "secret-of-the-target")
    shared.node.put(f"{acl}/{field}", value)
    pair = Credentials("new-user", "new-password")
    change(shared, "set_credentials", str(A), pair.username, pair.password)
    assert shared.login(Grant(A, pair, Mode.RW)).alive
    shared.refused(grant(A))
    with pytest.raises(LoginRefused):
        shared.node.login(shared.name, shared.world.portals[0], A, None)


def test_nobody_knows_what_credentials_are_on_the_way_to_new_ones(shared):
    old, new = grant(A).credentials, Credentials("new-user", "new-password")
    mixed = Grant(A, Credentials(new.username, old.password), Mode.RW)
    tries = []

    def try_again():
        tries.append(mixed)
        shared.refused(mixed)
        shared.refused(grant(A))

    shared.node.mount.changed = try_again
    change(shared, "set_credentials", str(A), new.username, new.password)
    assert len(tries) == 2


def test_nobody_gets_in_while_a_target_is_removed(shared):
    session = shared.login(grant(A))
    tries = []

    def try_again():
        tries.append(session.alive)
        shared.refused(grant(A))

    shared.node.mount.changed = try_again
    change(shared, "remove_target")
    assert len(tries) > 5
    assert not any(tries)


@pytest.mark.parametrize("how", [("remove_acl", str(A)), ("remove_target",)])
def test_who_loses_the_volume_reads_nothing_else_meanwhile(shared, how):
    session = shared.login(grant(A))
    session.write(b"the volume's")
    seen = set()

    def read():
        with contextlib.suppress(OSError):
            seen.add(session.read())
        if not session.alive:
            shared.refused(grant(A))

    shared.node.mount.changed = read
    change(shared, *how)
    assert not session.alive
    assert seen <= {b"the volume's"}


def test_removal_that_comes_too_late_leaves_an_acl_that_nobody_can_log_in_by(
    shared, monkeypatch
):
    session, check = shared.login(grant(A)), deadline.check

    def check_late():
        if not session.alive:
            raise deadline.TooLate
        check()

    with monkeypatch.context() as patched:
        patched.setattr(deadline, "check", check_late)
        with pytest.raises(deadline.TooLate):
            change(shared, "remove_acl", str(A))
    left = shared.kernel.read(shared.name).acls[A]
    assert (left.session, left.credentials) == (False, None)
    shared.refused(grant(A))
    # Who gets it back has it whole.
    shared.ensure(shared.export(grant(A), READ_ONLY))
    assert shared.login(grant(A)).may_write
    assert shared.node.get(f"{shared.tpg}/acls/{A}/cmdsn_depth") == "63"


@pytest.mark.parametrize("of", ["", f"acls/{A}/"])
def test_who_needs_no_password_is_not_back_before_his_acl_is_gone(shared, of):
    shared.node.put(f"{shared.tpg}/{of}attrib/authentication", "0")
    sessions = [shared.login(grant(A))]
    sessions[0].write(b"the volume's")
    seen = set()

    def come_back_and_read():
        with contextlib.suppress(LoginRefused, OSError):
            if not sessions[-1].alive:
                sessions.append(shared.login(grant(A)))
            seen.add(sessions[-1].read())

    shared.node.mount.changed = come_back_and_read
    change(shared, "remove_acl", str(A))
    assert not sessions[-1].alive
    assert seen <= {b"the volume's"}


@pytest.mark.parametrize("attribute", ["auth/password", "cmdsn_depth"])
def test_access_ends_though_the_kernel_does_not_end_the_session_first(
    shared, attribute, monkeypatch
):
    session, put = shared.login(grant(A)), files.put

    def refuse(path, value):
        if path.endswith(f"acls/{A}/{attribute}"):
            raise OSError(errno.EIO, "", path)
        put(path, value)

    monkeypatch.setattr(files, "put", refuse)
    change(shared, "remove_acl", str(A))
    assert not session.alive
    assert A not in shared.kernel.read(shared.name).acls
    shared.refused(grant(A))


@pytest.mark.parametrize("depth", ["63", "64", "1"])
@pytest.mark.parametrize("attribute", ["auth/password", "attrib/authentication"])
def test_session_ends_first_whatever_else_the_kernel_refuses(
    shared, attribute, depth, monkeypatch
):
    session, put = shared.login(grant(A)), files.put
    session.write(b"the volume's")
    shared.node.put(f"{shared.tpg}/acls/{A}/cmdsn_depth", depth)
    session = session if session.alive else shared.login(grant(A))
    seen = set()

    def read():
        with contextlib.suppress(OSError):
            seen.add(session.read())

    def refuse(path, value):
        if path.endswith(f"acls/{A}/{attribute}"):
            raise OSError(errno.ENOENT, "", path)
        put(path, value)

    shared.node.mount.changed = read
    monkeypatch.setattr(files, "put", refuse)
    change(shared, "remove_acl", str(A))
    assert seen <= {b"the volume's"}
    assert not session.alive


def test_another_tpg_is_removed_with_all_that_is_in_it(shared):
    session = shared.login(grant(A))
    other = f"iscsi/{shared.name}/tpgt_2"
    for path in ("", "/np/192.0.2.9:3260", "/lun/lun_3", f"/acls/{C}"):
        shared.node.make(f"{other}{path}")
    shared.node.make(f"{other}/acls/{C}/lun_0")
    shared.node.make("core/iblock_0")
    shared.node.make("core/iblock_0/other")
    device = shared.world.device()
    shared.node.put("core/iblock_0/other/control", f"udev_path={device}")
    shared.node.put("core/iblock_0/other/enable", "1")
    shared.node.link(f"{other}/lun/lun_3/x", "core/iblock_0/other")
    shared.node.link(f"{other}/acls/{C}/lun_0/y", f"{other}/lun/lun_3")
    shared.node.put(f"{other}/enable", "1")
    change(shared, "remove_tpg", 2)
    assert shared.kernel.read(shared.name).target.other_tpgs == frozenset()
    assert session.may_write


def test_removed_tpg_that_was_disabled_is_gone(lab):
    change(lab, "create_target")
    change(lab, "create_tpg")
    change(lab, "remove_target")
    assert lab.kernel.read(lab.name).target is None
