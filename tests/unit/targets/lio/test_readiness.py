# SPDX-License-Identifier: Apache-2.0
"""What a node lacks to export by LIO is told with its cure."""

import errno
import shutil
from pathlib import Path

import pytest

from taikun_cinder.access.model import Portal
from taikun_cinder.node import Problem
from taikun_cinder.targets.lio import readiness, start

V4, V6 = Portal("192.0.2.11"), Portal("2001:db8::11")


@pytest.fixture
def told(cinder, node):
    """Return a function that gives what is told, with what is tolerable."""

    def told(*portals, prefix="iqn.2010-10.org.openstack:"):
        return {
            f"{problem.fault}. {problem.cure}": problem.tolerable
            for problem in readiness.problems(node, portals, [prefix])
        }

    return told


@pytest.fixture
def listens(node):
    """Return a function that lets a target of LIO listen at a portal."""

    def listens(portal, target="iqn.2026-11.example:another"):
        folder = node.sys / "kernel/config/target/iscsi" / target / "tpgt_1/np"
        (folder / str(portal)).mkdir(parents=True)

    return listens


def test_node_that_has_all_is_accepted(told):
    assert told(V4, V6) == {}


@pytest.mark.parametrize(
    "prefix",
    [
        "iqn.2030-01.example:",
        "iqn.2010-10.org.OpenStack:",
        "iqn.2010-10.org.open_stack:",
        "iqn.2010-10.org.open stack:",
        "iqn.10-10.org.openstack:",
        "org.openstack:",
    ],
)
def test_prefix_that_would_break_rtslib_on_the_node_is_refused(told, prefix):
    ((text, tolerable),) = told(V4, prefix=prefix).items()
    assert not tolerable
    assert prefix in text
    assert "target_prefix" in text


@pytest.mark.parametrize("prefix", ["iqn.2030-01.com.example:", "iqn.2030-12.a.b"])
def test_prefix_that_rtslib_takes_is_taken(told, prefix):
    assert told(V4, prefix=prefix) == {}


def test_only_portal_that_another_program_has_is_refused(told, node):
    node.network.taken = {str(V4)}
    ((text, tolerable),) = told(V4).items()
    assert not tolerable
    assert f"listen at {V4}, since another program" in text
    assert "ss -ltnp sport = :3260" in text


@pytest.mark.parametrize("taken", [V4, V6])
def test_one_portal_of_several_that_is_taken_is_warned_of(told, node, taken):
    node.network.taken = {str(taken)}
    ((text, tolerable),) = told(V4, V6).items()
    assert tolerable
    assert str(taken) in text


def test_portal_where_lio_listens_already_is_shared(told, node, listens):
    node.network.taken = {str(V4), str(V6)}
    listens(V4)
    listens(V6)
    assert told(V4, V6) == {}


@pytest.mark.parametrize(
    ("everywhere", "portal"), [("0.0.0.0:3260", V4), ("[::]:3260", V4)]
)
def test_target_that_listens_everywhere_is_named(
    told, node, listens, everywhere, portal
):
    node.network.taken = {str(portal)}
    listens(everywhere)
    ((text, tolerable),) = told(portal).items()
    assert not tolerable
    assert f"iqn.2026-11.example:another listens at {everywhere}" in text


def test_target_that_listens_everywhere_leaves_other_portals(told, node, listens):
    node.network.taken = {str(V4)}
    listens("0.0.0.0:3260")
    ((text, tolerable),) = told(V4, V6).items()
    assert tolerable
    assert "another target_port" in text


@pytest.mark.parametrize("everywhere", ["0.0.0.0", "::"])  # noqa: S104 - only a name
def test_target_that_listens_everywhere_at_another_port_is_named(
    told, node, listens, everywhere
):
    portal = Portal("192.0.2.11", 3261)
    node.network.taken = {str(portal)}
    listens(Portal(everywhere, 3261))
    ((text, _),) = told(portal).items()
    assert "iqn.2026-11.example:another" in text


def test_portals_of_lio_that_cannot_be_read_are_passed_over(told, node, listens):
    node.network.taken = {str(V4)}
    folder = node.sys / "kernel/config/target/iscsi/iqn.2026-11.example:odd/tpgt_1/np"
    (folder / "192.0.2.11:port").mkdir(parents=True)
    ((text, _),) = told(V4).items()
    assert "another program" in text
    listens(V4)
    assert told(V4) == {}


def test_lio_that_goes_away_while_its_portals_are_read_is_passed_over(
    node, monkeypatch
):
    """Its modules may be unloaded just then."""

    def glob(folder, pattern):
        raise OSError(errno.ENODEV, str(folder))

    monkeypatch.setattr(Path, "glob", glob)
    node.network.taken = {str(V4)}
    (problem,) = readiness.of_portals(node, [V4])
    assert "another program" in problem.fault


def test_portal_at_another_port_is_told_with_that_port(told, node, listens):
    portal = Portal("192.0.2.11", 3261)
    node.network.taken = {str(portal)}
    listens("[::]:3261")
    ((text, _),) = told(portal).items()
    assert "listens at [::]:3261" in text


def test_target_at_another_port_is_not_blamed(told, node, listens):
    node.network.taken = {str(V4)}
    listens("0.0.0.0:860")
    ((text, _),) = told(V4).items()
    assert "another program" in text


def test_configfs_that_is_read_only_is_refused(told, node):
    (node.proc / "mounts").write_text(
        "configfs /sys/kernel/config configfs ro,relatime 0 0\n"
    )
    ((text, tolerable),) = told().items()
    assert not tolerable
    assert "mounted read-only" in text
    assert "remount,rw" in text


def test_what_is_mounted_over_configfs_counts(told, node):
    with (node.proc / "mounts").open("a") as mounts:
        mounts.write("tmpfs /sys/kernel/config tmpfs rw 0 0\n")
    ((text, _),) = told().items()
    assert "configfs is not mounted" in text


@pytest.mark.parametrize("service", ["target.service", "rtslib-fb-targetctl.service"])
@pytest.mark.parametrize("units", ["etc/systemd/system", "lib/systemd/system"])
def test_service_that_restores_lio_is_warned_of(told, node, service, units):
    wants = node.root / units / "multi-user.target.wants"
    wants.mkdir(parents=True)
    (wants / service).symlink_to(f"/nowhere/{service}")
    ((text, tolerable),) = told().items()
    assert tolerable
    assert f"systemctl disable {service}" in text
    assert "--now" not in text


def test_masked_service_is_not_warned_of(told, node):
    units = node.root / "etc/systemd/system"
    (units / "multi-user.target.wants").mkdir(parents=True)
    (units / "multi-user.target.wants/target.service").symlink_to("/nowhere")
    (units / "target.service").symlink_to("/dev/null")
    assert told() == {}


@pytest.mark.parametrize("mark", [".dockerenv", "run/.containerenv", None])
def test_container_is_told_which_folders_belong_to_the_node(told, node, mark):
    if mark:
        (node.root / mark).parent.mkdir(parents=True, exist_ok=True)
        (node.root / mark).touch()
    else:
        (node.proc / "self/ns").mkdir(parents=True)
        (node.proc / "self/ns/pid").symlink_to("pid:[4026532000]")
    said = told()
    assert all(said.values())
    assert any("--volume /etc/target:/etc/target" in text for text in said)
    assert any("lock lioadm" in text for text in said)
    with (node.proc / "mounts").open("a") as mounts:
        mounts.write("/dev/sda1 /etc/target ext4 rw 0 0\n")
    assert not any("/etc/target" in text for text in told())


@pytest.mark.parametrize(
    ("root", "warned"),
    [
        ("/var/lib/docker/volumes/target_config/_data", True),
        ("/etc/target", False),
        # The host's root is a subvolume of Btrfs, or /etc a file system of its own.
        ("/@/etc/target", False),
        ("/target", False),
        # A file system of its own: it does not tell where the host has it.
        ("/", False),
    ],
)
def test_container_whose_volume_is_not_the_nodes_folder_is_told(
    told, node, root, warned
):
    node.root.mkdir()
    (node.root / ".dockerenv").touch()
    with (node.proc / "mounts").open("a") as mounts:
        mounts.write("/dev/sda1 /etc/target ext4 rw 0 0\n")
    (node.proc / "self").mkdir()
    (node.proc / "self/mountinfo").write_text(
        "1 0 0:1 / / rw - overlay overlay rw\n"
        f"2 1 8:1 {root} /etc/target rw - ext4 /dev/sda1 rw\n"
    )
    said = {
        text: tolerable
        for text, tolerable in told().items()
        if "is a volume of this container" in text
    }
    assert bool(said) == warned
    assert all(said.values())
    for text in said:
        assert f"{root} on the host" in text
        assert "--volume /etc/target:/etc/target" in text
    (node.root / ".dockerenv").unlink()
    assert not any("volume" in text for text in told())


def test_node_that_is_no_container_is_told_nothing_of_them(told, node):
    (node.proc / "self/ns").mkdir(parents=True)
    (node.proc / "self/ns/pid").symlink_to("pid:[4026531836]")
    assert told() == {}


def test_container_is_told_where_the_kernel_keeps_reservations(told, node):
    node.root.mkdir()
    (node.root / ".dockerenv").touch()
    dbroot = node.sys / "kernel/config/target/dbroot"
    dbroot.parent.mkdir(parents=True)
    dbroot.write_text("/var/target\n")
    said = " ".join(told())
    assert "--volume /var/target:/var/target" in said
    assert "/etc/target" not in said


@pytest.fixture
def asked(monkeypatch):
    """Let the privileged process tell what it is asked for; give whether it was."""
    prepared = []

    def problems(ports, *, prefixes=(), group=None, prepare=True):
        prepared.append(prepare)
        yield Problem(f"{sorted(ports)} {list(prefixes)} {group}", "It does.")

    monkeypatch.setattr(start, "problems", problems)
    return prepared


def test_privileged_process_is_asked_for_all_that_is_to_be_exported(node, asked):
    prefixes = ["iqn.2010-10.org.openstack:", "iqn.2011-11.com.example:"]
    portals = [V4, V6, Portal("192.0.2.12", 3261)]
    (problem,) = readiness.problems(node, portals, prefixes, "vg")
    assert problem.fault == f"[3260, 3261] {prefixes} vg"
    assert asked == [True]


def test_lio_is_not_made_ready_without_its_modules(node, asked):
    shutil.rmtree(node.sys / "module")
    assert len(list(readiness.problems(node, [V4]))) > 1
    assert asked == [False]
