# SPDX-License-Identifier: Apache-2.0
"""What LIO needs is looked at as at a start, thing by thing, and nothing is changed."""

import shutil

import pytest

from taikun_cinder import contents
from taikun_cinder.checks import catalogue, target
from taikun_cinder.checks.facts import Unanswered
from taikun_cinder.checks.findings import Outcome
from taikun_cinder.node import Problem
from taikun_cinder.targets.lio import looks, readiness, start
from taikun_cinder.targets.looks import Place, Unseen

NAMES = [check.name for check in target.CHECKS]


@pytest.fixture(autouse=True)
def _readers(node):
    (node.sys / "module/target_core_file").mkdir(parents=True)
    (node.proc / "cmdline").write_text("quiet init_on_alloc=1\n")


@pytest.mark.parametrize("name", NAMES)
def test_node_that_has_all_is_right(is_right, backend, name):
    is_right(name, backend())


@pytest.mark.parametrize("name", NAMES)
def test_back_end_whose_options_name_no_kind_is_looked_at_too(is_right, backend, name):
    is_right(name, backend(target_helper="tgtadm"))


def test_missing_module_is_told(only, backend, node):
    (node.sys / "module/target_core_iblock").rmdir()
    outcome, text, cure = only("kernel-modules", backend())
    assert outcome is Outcome.FAILED
    assert "no module target_core_iblock" in text
    assert "modprobe target_core_iblock" in cure


def test_kernel_that_shows_no_readers_disk_is_told(only, backend, node):
    (node.sys / "module/target_core_file").rmdir()
    outcome, text, _ = only("readers-disk", backend())
    assert outcome is Outcome.WARNING
    assert "no module target_core_file" in text
    assert "the main disk, write-protected" in text


def _release(node, release, parameter="init_on_alloc=1"):
    (node.proc / "sys/kernel/osrelease").write_text(f"{release}\n")
    (node.proc / "cmdline").write_text(f"quiet {parameter}\n")


@pytest.mark.parametrize(
    ("release", "is_told"),
    [
        ("4.17.3", True),
        ("3.10.0-1160.el7", True),
        ("of-our-own", True),
        ("5.14.0-570.el9", False),
    ],
)
def test_kernel_before_the_readers_disk_is_told(only, backend, node, release, is_told):
    _release(node, release)
    outcome, text, _ = only("readers-disk", backend())
    assert (outcome is Outcome.WARNING) is is_told
    assert (release in text) is is_told


@pytest.mark.parametrize(
    ("release", "is_told"),
    [("5.14.0-570.el9", True), ("6.16.12", True), ("6.17.0", False), ("7.2.7", False)],
)
def test_kernel_that_does_not_clear_memory_is_told(
    only, backend, node, release, is_told
):
    _release(node, release, "init_on_alloc=0")
    outcome, text, cure = only("readers-disk", backend())
    assert (outcome is Outcome.WARNING) is is_told
    if is_told:
        assert "does not clear the memory" in text
        assert "init_on_alloc=1" in cure


@pytest.mark.parametrize("release", ["5.14.0-570.el9", "7.2.7"])
def test_kernel_that_may_show_its_memory_is_told(only, backend, node, release):
    _release(node, release, "init_on_alloc=0")
    outcome, text, cure = only("cleared-memory", backend())
    assert outcome is Outcome.WARNING
    assert "LUN 0" in text
    assert "init_on_alloc=1" in cure
    _release(node, release)
    assert only("cleared-memory", backend())[0] is Outcome.OK
    _release(node, release, "quiet")
    with pytest.raises(Unseen) as told:
        only("cleared-memory", backend())
    assert "/boot" in told.value.cure
    assert "init_on_alloc=1" in told.value.cure


@pytest.mark.parametrize("release", ["6.1.0-47-amd64", "7.0.9"])
def test_readers_disk_that_may_take_the_node_along_is_told(
    found, only, backend, node, release
):
    _release(node, release, "init_on_alloc=0")
    core = node.sys / "kernel/config/target/core"
    (core / "fileio_7/iqn.2010-10.org.openstack:volume-1-readers").mkdir(parents=True)
    outcome, text, cure = found("readers-disk", backend())[0]
    assert outcome is Outcome.FAILED
    assert text.endswith("They are those of iqn.2010-10.org.openstack:volume-1")
    assert "Detach the hosts that may only read" in cure
    (at_start,) = readiness.of_readers_disks(node)
    assert at_start.tolerable is True
    _release(node, release)
    assert only("readers-disk", backend())[0] is Outcome.OK


def test_kernel_of_which_that_cannot_be_seen_is_told(only, backend, node):
    _release(node, "6.1.0-47-amd64", "quiet")
    with pytest.raises(Unseen) as told:
        only("readers-disk", backend())
    assert "cannot be seen" in told.value.found
    assert "/boot" in told.value.cure
    assert "no new host is given a readers' disk" in told.value.cure


def test_first_kernel_that_reads_past_all_caches_is_asked_for_its_memory(
    only, backend, node
):
    _release(node, "4.18.0", "quiet")
    with pytest.raises(Unseen, match=r"4\.18\.0, clears the memory") as told:
        only("readers-disk", backend())
    assert str(told.value) == told.value.found


def test_configfs_that_a_start_mounts_is_a_warning(only, backend, node):
    (node.proc / "mounts").write_text("")
    outcome, text, _ = only("configfs", backend())
    assert outcome is Outcome.WARNING
    assert "not mounted" in text


def test_configfs_that_is_read_only_is_a_failure(only, backend, node):
    line = "configfs /sys/kernel/config configfs ro,relatime 0 0\n"
    (node.proc / "mounts").write_text(line)
    outcome, text, _ = only("configfs", backend())
    assert outcome is Outcome.FAILED
    assert "mounted read-only" in text


def test_privileged_process_is_started_for_the_back_end_and_makes_nothing_ready(
    only, backend, monkeypatch
):
    asked: dict[str, object] = {}

    def problems(ports, **named):
        asked.update(named, ports=ports)
        yield Problem("it does not start", "Mend it.")

    monkeypatch.setattr(start, "problems", problems)
    one = backend(volume_group="fast", target_port=860)
    assert only("privileged-process", one) == (
        Outcome.FAILED,
        "it does not start",
        "Mend it.",
    )
    assert asked == {
        "ports": {860},
        "prefixes": ("iqn.2010-10.org.openstack:",),
        "group": "fast",
        "prepare": False,
    }


def test_prefix_that_rtslib_does_not_take_is_told(only, backend):
    outcome, _, cure = only("target-prefix", backend(target_prefix="iqn.2030-01.x:"))
    assert outcome is Outcome.FAILED
    assert "target_prefix" in cure


def test_name_of_an_earlier_prefix_is_not_told(cinder, node):
    """Hosts that are attached keep the names that they were told."""
    prefixes = ("iqn.2010-10.org.openstack:", "iqn.2030-01.x:")
    (look,) = (one for one in looks.LOOKS if one.name == "target-prefix")
    assert not list(look.problems(Place(node, prefixes=prefixes)))
    assert list(look.problems(Place(node, prefixes=prefixes[::-1])))


def test_port_that_another_program_has_is_told(only, backend, node):
    node.network.taken = {"192.0.2.11:3260"}
    outcome, text, cure = only("portals", backend())
    assert outcome is Outcome.FAILED
    assert "another program listens there" in text
    assert "ss -ltnp" in cure


def test_service_that_clears_lio_is_told(only, backend, node):
    wants = node.root / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(parents=True)
    (wants / "target.service").symlink_to("/nowhere")
    outcome, text, cure = only("lio-restore", backend())
    assert outcome is Outcome.WARNING
    assert "target.service is enabled" in text
    assert "systemctl disable target.service" in cure


def test_container_cannot_tell_what_the_node_starts(only, backend, node):
    (node.root / "run/systemd/system").mkdir(parents=True)
    (node.root / ".dockerenv").touch()
    with pytest.raises(Unseen) as told:
        only("lio-restore", backend())
    assert "cannot be seen from this container" in told.value.found
    services = "target.service rtslib-fb-targetctl.service"
    assert f"systemctl is-enabled {services} says" in told.value.cure
    (node.proc / "1").mkdir()
    (node.proc / "1/comm").write_text("systemd\n")  # as in one of LXC's
    assert only("lio-restore", backend())[0] is Outcome.OK


@pytest.mark.parametrize("name", ["portals", "target-prefix", "privileged-process"])
def test_what_goes_by_options_that_cannot_be_read_is_not_said_to_be_right(
    only, backend, name
):
    with pytest.raises(Unanswered, match="options"):
        only(name, backend(target_ip_address="storage1"))


def test_container_without_the_nodes_folders_is_told(found, backend, node):
    (node.root / ".dockerenv").parent.mkdir(parents=True, exist_ok=True)
    (node.root / ".dockerenv").touch()
    told = found("container-folders", backend())
    assert {outcome for outcome, *_ in told} == {Outcome.WARNING}
    assert any("/etc/target" in text for _, text, _ in told)


def test_nothing_of_the_node_is_changed(found, backend, node, monkeypatch):
    shutil.rmtree(node.sys)
    one = backend()
    before = sorted(node.root.parent.rglob("*"))
    for name in NAMES:
        found(name, one)
    assert sorted(node.root.parent.rglob("*")) == before


def test_each_kind_of_target_is_in_the_catalogue():
    assert {*NAMES} <= {check.name for check in catalogue.CHECKS}


def test_guard_that_is_off_asks_nobody(is_right, backend, monkeypatch):
    monkeypatch.setattr(contents, "lack", lambda: pytest.fail("it was asked"))
    monkeypatch.setattr(start, "problems", lambda ports, **named: [Problem("x", "y")])
    is_right("filesystem-guard", backend())


def test_guard_that_cannot_look_is_told(is_right, only, backend, monkeypatch):
    one = backend(taikun_filesystem_guard="deny")
    monkeypatch.setattr(contents, "lack", lambda: "")
    is_right("filesystem-guard", one)
    monkeypatch.setattr(contents, "lack", lambda: "blkid is not there")
    outcome, text, _ = only("filesystem-guard", one)
    assert outcome is Outcome.WARNING
    assert "blkid is not there" in text


def test_guard_is_not_asked_about_without_the_privileged_process(
    only, backend, monkeypatch
):
    monkeypatch.setattr(start, "problems", lambda ports, **named: [Problem("x", "y")])
    with pytest.raises(Unanswered, match="privileged-process"):
        only("filesystem-guard", backend(taikun_filesystem_guard="deny"))
