# SPDX-License-Identifier: Apache-2.0
"""The behaviour that only the kernel's LIO can show, beside the contract."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from lab.single import SingleNode
from taikun_cinder.access.model import Credentials, Grant, Initiator, Mode
from taikun_cinder.targets.base import Result
from taikun_cinder.targets.lio import steps
from taikun_cinder.targets.lio.states import ATTRIBUTES, LioState
from tests.contract.suite import A, B, C, grant
from tests.lab.lio_world import NodeLab

pytestmark = pytest.mark.in_turn(3, of="file")

READ_ONLY = Grant(B, grant(B).credentials, Mode.RO)


@contextlib.contextmanager
def writing(node: SingleNode, device: str) -> Iterator[dict[str, Any]]:
    """Write to a device during the block; tell afterwards what was seen."""
    seen: dict[str, Any] = {}
    run = node.node.call("lab.guest.steady", "begin", device, 100)
    time.sleep(0.3)
    yield seen
    time.sleep(1)
    seen.update(node.node.call("lab.guest.steady", "end", run))


def undisturbed(seen: dict[str, Any]) -> bool:
    """Say whether the application felt nothing."""
    return bool(seen["writes"] and not seen["errors"] and seen["longest"] < 2)


DAMAGES: dict[str, tuple[str, ...]] = {
    "LUN without its backstore": ("unlink", "lun/lun_0"),
    "initiator without its LUN": ("unlink", f"acls/{A}/lun_0"),
    "wrong password": ("put", f"acls/{A}/auth/password", "another-secret"),
    "no password": ("put", f"acls/{A}/auth/password", "NULL"),
    "no proof asked for": ("put", f"acls/{A}/attrib/authentication", "0"),
    "proof asked of the target": ("ask_target", str(A)),
    "TPG disabled": ("put", "enable", "0"),
    "foreign initiator": ("make", f"acls/{C}"),
    "foreign initiator in capitals": ("make", f"acls/{str(C).upper()}"),
    "second LUN": ("make", "lun/lun_7"),
    "second TPG": ("make", "../tpgt_2"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_healed(lab: NodeLab, damage: str) -> None:
    desired = lab.export(grant(A), grant(B))
    lab.ensure(desired)
    function, *arguments = DAMAGES[damage]
    lab.world.guest(function, lab.name, *arguments)
    assert lab.ensure(desired).changes
    assert lab.target.read(lab.name).hosts.keys() == {A, B}
    lab.login(grant(A)).write(b"healed")


@pytest.mark.parametrize(
    "damage", ["foreign initiator", "wrong password", "proof asked of the target"]
)
def test_healing_is_not_felt_by_who_is_logged_in(
    node: SingleNode, lab: NodeLab, damage: str
) -> None:
    desired = lab.export(grant(A))
    lab.ensure(desired)
    session = lab.login(grant(A))
    function, *arguments = DAMAGES[damage]
    with writing(node, session.path) as seen:
        lab.world.guest(function, lab.name, *arguments)
        lab.ensure(desired)
    assert session.alive
    assert undisturbed(seen)


def test_missing_portal_is_put_back_under_a_live_session(
    node: SingleNode, lab: NodeLab
) -> None:
    desired = lab.export(grant(A))
    lab.ensure(desired)
    session = lab.login(grant(A))
    with writing(node, session.path) as seen:
        lab.world.damage(lab.name, steps.RemovePortal(lab.world.portals[0]))
        lab.ensure(desired)
    assert session.alive
    assert undisturbed(seen)
    assert lab.login(grant(A)).alive


def test_an_initiator_is_born_read_only(lab: NodeLab) -> None:
    lab.ensure(lab.export(grant(A), READ_ONLY))
    tpg = lab.kernel.read(lab.name).tpg
    assert tpg
    assert tpg.attributes == ATTRIBUTES  # and nothing of the way to it is left
    taken = lab.target.ensure(lab.name, lab.export(READ_ONLY, grant(A)))
    assert taken == Result()
    assert lab.world.guest("get", lab.name, f"acls/{B}/lun_0/write_protect") == "1"


@pytest.mark.parametrize("name", ["0b83fa0c97", "0xb83fa0c97"])
def test_lio_refuses_a_name_that_looks_like_an_encoded_number(
    lab: NodeLab, name: str
) -> None:
    # So access.attachment.new_credentials makes none. It does not matter whose it is.
    odd = Grant(A, Credentials(name, "p-secret-of-the-host"), Mode.RW)
    even = Grant(B, Credentials(f"u{name}", "p-secret-of-the-host"), Mode.RW)
    lab.ensure(lab.export(odd, even))
    lab.refused(odd)
    assert lab.login(even).alive


def test_a_mode_changes_live_and_only_that_host_feels_it(
    node: SingleNode, lab: NodeLab
) -> None:
    lab.ensure(lab.export(grant(A), grant(B)))
    writer, other = lab.login(grant(A)), lab.login(grant(B))
    other.write(b"may write")
    with writing(node, writer.path) as seen:
        lab.ensure(lab.export(grant(A), READ_ONLY))
        with pytest.raises(OSError, match=r"\[Errno \d+\]"):
            other.write(b"may not")
        assert other.read() == b"may write"
    assert other.alive
    assert undisturbed(seen)


def test_revocation_ends_the_session_at_once(node: SingleNode, lab: NodeLab) -> None:
    lab.ensure(lab.export(grant(A), grant(B)))
    stays, goes = lab.login(grant(A)), lab.login(grant(B))
    with writing(node, stays.path) as seen:
        start = time.monotonic()
        lab.ensure(lab.export(grant(A)))
        assert not goes.alive
        assert time.monotonic() - start < 2
    assert stays.alive
    assert undisturbed(seen)
    lab.refused(grant(B))


def test_who_loses_the_volume_reads_nothing_else_meanwhile(lab: NodeLab) -> None:
    """Without its LUN 0, a session would be answered with the kernel's memory."""
    lab.ensure(lab.export(grant(A)))
    session = lab.login(grant(A))
    session.write(b"the volume's")
    remove = steps.RemoveAcl(A)
    seen = lab.world.guest("take_and_read", lab.name, remove, session.path)
    assert not session.alive
    assert {read.rstrip(b"\0") for read in seen} == {b"the volume's"}
    session.forget()


def test_a_session_without_its_lun_is_answered_with_the_kernels_memory(
    lab: NodeLab,
) -> None:
    """Why the driver takes no LUN 0 from a session: LIO answers without an error."""
    lab.ensure(lab.export(grant(A)))
    session = lab.login(grant(A))
    session.write(b"the volume's")
    unmap = steps.UnmapLun(A, 0)
    seen = lab.world.guest("take_and_read", lab.name, unmap, session.path)
    assert session.alive
    assert {read.rstrip(b"\0") for read in seen} > {b"the volume's"}


def test_a_volume_is_the_same_device_after_a_new_export(lab: NodeLab) -> None:
    lab.ensure(lab.export(grant(A)))
    first = lab.login(grant(A))
    before = (first.identity["serial"], first.identity["wwn"])
    first.logout()
    lab.ensure(None)
    lab.ensure(lab.export(grant(A)))
    second = lab.login(grant(A))
    assert (second.identity["serial"], second.identity["wwn"]) == before


def test_hosts_reach_it_by_ipv6(lab: NodeLab) -> None:
    portal = lab.world.portals[1]
    desired = lab.export(grant(A))
    both = frozenset(lab.world.portals)
    lab.ensure(replace(desired, portals=both))
    granted = grant(A)
    lab.world.login(lab.name, portal, granted.initiator, granted.credentials).write(
        b"6"
    )


def test_target_of_the_in_tree_driver_is_taken_over_without_interruption(
    node: SingleNode, lab: NodeLab
) -> None:
    shared = Credentials("in-tree-user", "in-tree-password")
    in_tree = lab.world.guest
    pair = (shared.username, shared.password)
    in_tree("in_tree", "create", lab.device, lab.name, *pair, "False", "-a127.0.0.1")
    in_tree("in_tree", "add-initiator", lab.name, *pair, str(A))
    session = lab.login(Grant(A, shared, Mode.RW))
    serial = session.serial
    taken = Grant(A, shared, Mode.RW)
    with writing(node, session.path) as seen:
        outcome = lab.target.ensure(lab.name, lab.export(taken, grant(B)))
        assert outcome.changes
        assert lab.login(grant(B)).serial == serial  # as long as A is logged in
    assert session.alive
    assert undisturbed(seen)
    session.logout()
    assert lab.login(taken).serial == serial
    lab.ensure(None)
    assert not lab.world.in_use(lab.device)


def test_backstore_that_the_in_tree_driver_left_behind_is_no_obstacle(
    lab: NodeLab,
) -> None:
    in_tree = lab.world.guest
    in_tree("in_tree", "create", lab.device, lab.name, "user", "pass", "False")
    lab.world.damage(lab.name, steps.RemoveTarget())
    assert lab.world.in_use(lab.device)
    assert lab.target.names(lab.world.prefix) == {lab.name}
    lab.ensure(lab.export(grant(A)))
    lab.login(grant(A)).write(b"works")
    lab.world.damage(lab.name, steps.RemoveTarget())
    lab.ensure(None)
    assert not lab.world.in_use(lab.device)


def test_in_tree_back_end_beside_it_goes_on_working(lab: NodeLab) -> None:
    lab.ensure(lab.export(grant(A)))
    session = lab.login(grant(A))
    other = f"{lab.world.prefix}volume-of-another-back-end"
    device, pair = lab.world.device(), ("user", "password")
    lab.world.guest("in_tree", "create", device, other, *pair, "False", "-a127.0.0.1")
    lab.world.guest("in_tree", "add-initiator", other, *pair, str(B))
    assert other in lab.world.guest("in_tree", "get-targets")
    lab.world.guest("in_tree", "save", "/tmp/saved.json")  # noqa: S108
    lab.world.guest("in_tree", "delete", other)
    assert session.alive
    assert lab.target.names(lab.world.prefix) == {lab.name}


def test_many_volumes_and_hosts_at_once(lab: NodeLab) -> None:
    names = [f"{lab.world.prefix}volume-at-once-{number}" for number in range(8)]
    exports = []
    for name in names:
        host = Initiator(f"{A}-{name[-1]}")
        own = Grant(host, Credentials(f"user{name}", "secret-secret"), Mode.RW)
        export = lab.export(grant(A), own)
        exports.append(replace(export, target=name, device=lab.world.device()))
    wanted = [("ensure", (export.target, export)) for export in exports]
    done = lab.world.guest("together", wanted)
    assert all(result.changes for result in done), done
    assert lab.target.names(lab.world.prefix) == set(names)
    for export in exports:
        assert lab.target.ensure(export.target, export) == Result()
    gone = [("ensure", (name, None)) for name in names]
    assert all(result.changes for result in lab.world.guest("together", gone))
    assert lab.target.names(lab.world.prefix) == frozenset()


def test_refused_step_is_named_and_nothing_of_it_is_left(lab: NodeLab) -> None:
    export = lab.export(grant(A))
    missing = replace(export, device="/dev/no-such-device")
    with pytest.raises(Exception, match="/dev/no-such-device does not exist") as caught:
        lab.target.ensure(lab.name, missing)
    assert lab.name in str(caught.value)
    assert grant(A).credentials.password not in str(caught.value)
    assert lab.kernel.read(lab.name) == LioState(lab.name)


def test_reservations_that_are_to_last_come_back_with_a_new_export(
    node: SingleNode, lab: NodeLab
) -> None:
    # Whoever set LIO up before us has not made the folder.
    folder = node.node.call("tests.lab.guest.preflight", "lose_reservations")
    lab.ensure(lab.export(grant(A)))
    first = lab.login(grant(A))
    key = "--param-sark=0xabc123"
    node.node.run(
        f"sg_persist --out --register --param-aptpl {key} {first.path} && sg_persist "
        f"--out --reserve --param-rk=0xabc123 --prout-type=5 {first.path}"
    )
    first.logout()
    lab.ensure(None)
    lab.ensure(lab.export(grant(A)))
    second = lab.login(grant(A))
    held = node.node.run(f"sg_persist --in --read-reservation {second.path}")
    assert "0xabc123" in held
    second.logout()
    lab.ensure(None)
    assert node.node.run(f"stat -c %a {folder}") == "700\n"
    node.node.run(f"rm {folder}/aptpl_*")
