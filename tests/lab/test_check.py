# SPDX-License-Identifier: Apache-2.0
"""The operator's check finds nothing on a good node, and each fault on a broken one."""

from collections.abc import Iterator
from typing import Any

import pytest

from lab.plan import STORAGE_NODE
from lab.single import SingleNode

pytestmark = pytest.mark.in_turn(5, of="file")

ADDRESS = STORAGE_NODE.storage_address

#: What a node of the lab cannot tell: it has no systemd, and hosts are elsewhere.
_UNTOLD = {"restore-unit", "initiator-timeouts"}

#: LVM sees loop devices, too.
#: What the lab's kernels differ in: some clear the memory that they allocate.
_OF_THE_KERNEL = {"cleared-memory"}

_WIDE_LVM = """\
cp --no-clobber /etc/lvm/lvm.conf /run/lvm.conf.usual
printf 'devices {\\n types = ["ubd", 16]\\n use_devicesfile = 0\\n %s\\n}\\n' > \
/etc/lvm/lvm.conf
"""
_USUAL_LVM = "cp /run/lvm.conf.usual /etc/lvm/lvm.conf"


@pytest.fixture
def broken(node: SingleNode) -> Iterator[SingleNode]:
    """A good node with a volume that a host has, which a test may break."""
    with node.backend() as process:
        volume = process.backend("create_volume")
        connector = node.node.call("lab.guest.initiators", "connector", "a")
        process.backend("attach", volume, connector)
        node.node.call("tests.lab.guest.checked", "prepare")
        yield node


def _check(node: SingleNode, *arguments: str) -> dict[str, Any]:
    done = node.node.call("tests.lab.guest.checked", "check", *arguments)
    return dict(done)


def _wrong(done: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Give the rows that are not right, by their checks."""
    assert done["status"] == any(row["Result"] == "failed" for row in done["rows"])
    return {
        row["Check"]: row
        for row in done["rows"]
        if row["Result"] != "ok" and row["Check"] not in _UNTOLD | _OF_THE_KERNEL
    }


def test_a_good_node_is_right(broken: SingleNode) -> None:
    look = "find /sys/kernel/config/target /var/lib/cinder-of-a-check"
    before = broken.node.run(look)
    done = _check(broken)
    assert _wrong(done) == {}, done
    assert "taikun-cinder: " not in done["complaints"]
    rows = {row["Check"]: row for row in done["rows"]}
    assert {name for name in rows if rows[name]["Result"] == "unknown"} == _UNTOLD
    assert rows["records"]["Found"].startswith("1 record(s)")
    assert "'controlled'" in rows["policy"]["Found"]
    assert broken.node.run(look) == before


def test_faults_of_lvm_are_told_with_their_cures(broken: SingleNode) -> None:
    run = broken.node.run
    run(_WIDE_LVM % "")
    run(
        "modprobe loop && truncate -s 64M /dev/shm/pv && losetup /dev/loop0 /dev/shm/pv"
        " && vgextend --yes cinder-volumes /dev/loop0 && losetup --detach /dev/loop0"
    )
    try:
        wrong = _wrong(_check(broken))
    finally:
        run(f"vgreduce --removemissing --force cinder-volumes; {_USUAL_LVM}")
    assert wrong["physical-volumes"]["Result"] == "failed"
    assert (
        "1 of the 2 disks of cinder-volumes are missing"
        in (wrong["physical-volumes"]["Found"])
    )
    assert "Do not run vgreduce" in wrong["physical-volumes"]["Cure"]
    assert "every disk that Cinder attaches" in wrong["lvm-foreign"]["Found"]
    assert wrong.keys() == {"physical-volumes", "lvm-foreign"}


def test_faults_of_volumes_are_told_with_their_cures(broken: SingleNode) -> None:
    run = broken.node.run
    run(
        "lvcreate --yes --size 64M --name held cinder-volumes;"
        "lvcreate --yes --type thin-pool --size 100M --name pool cinder-volumes;"
        "lvcreate --yes --virtualsize 300M --thin --name thin cinder-volumes/pool"
    )
    run("dd if=/dev/zero of=/dev/cinder-volumes/thin bs=1M count=100 oflag=direct")
    run("dmsetup suspend cinder--volumes-held")
    run("rm /dev/cinder-volumes/thin")
    try:
        done = _check(broken)
    finally:
        run("dmsetup resume cinder--volumes-held")
        run("lvremove --yes cinder-volumes/pool cinder-volumes/held")
    wrong = _wrong(done)
    assert wrong["thin-pool"]["Result"] == "failed"
    assert "cinder-volumes/pool is full" in wrong["thin-pool"]["Found"]
    assert "lvextend" in wrong["thin-pool"]["Cure"]
    assert wrong.keys() == {"thin-pool", "logical-volumes"}
    suspended, unlinked = (
        row for row in done["rows"] if row["Check"] == "logical-volumes"
    )
    assert suspended["Result"] == "failed"
    assert suspended["Found"].endswith("waits: held")
    assert "dmsetup resume cinder--volumes-NAME" in suspended["Cure"]
    assert unlinked["Found"].endswith("have no link in /dev/cinder-volumes: thin")


def test_a_servers_group_inside_a_volume_is_told(broken: SingleNode) -> None:
    run = broken.node.run
    run(_WIDE_LVM % "scan_lvs = 1")
    run(
        "lvcreate --yes --size 64M --name disk cinder-volumes;"
        "vgcreate --yes tenant /dev/cinder-volumes/disk"
    )
    try:
        wrong = _wrong(_check(broken))
    finally:
        run(f"vgremove --yes tenant; {_USUAL_LVM}")
        run("lvremove --yes cinder-volumes/disk")
    assert wrong["lvm-inside"]["Result"] == "failed"
    assert "such as tenant in /dev/cinder-volumes/disk" in wrong["lvm-inside"]["Found"]
    assert "scan_lvs = 0" in wrong["lvm-inside"]["Cure"]


def test_what_is_wrong_beside_lvm_is_told_with_its_cure(broken: SingleNode) -> None:
    state = "/var/lib/cinder-of-a-check/records"
    ipv6 = STORAGE_NODE.storage_address_ipv6
    broken.node.call("tests.lab.guest.checked", "spoil")
    broken.node.call("tests.lab.guest.preflight", "configure_lvm", _NOTHING)
    broken.node.run(f"mount --bind {state} {state} && mount -o remount,bind,ro {state}")
    try:
        with broken.node.session() as process:
            process("tests.lab.guest.preflight", "listen", ipv6, 3260)
            wrong = _wrong(
                _check(
                    broken,
                    "[lvm-shared]\n"
                    f"target_secondary_ip_addresses = {ipv6},198.51.100.77\n"
                    "[database]\n"
                    "connection = mysql+pymysql://cinder:secret@127.0.0.1:9/cinder\n",
                )
            )
    finally:
        broken.node.run(f"umount {state}")
        broken.node.call("tests.lab.guest.preflight", "give_lvm_back")
    words = {
        "volume-group": ("is there, on /dev/ubda", "vgimportdevices cinder-volumes"),
        "records": ("1 record(s)", "Start cinder-volume"),
        "lock-path": ("such as cinder-lioadm", "chown -R"),
        "coordination": ("such as cinder-lioadm", "chown -R"),
        "policy": ("and the latter counts", "Leave it in one of them"),
        "state-folder": ("Read-only file system", "taikun_state_path"),
        "portals": (f"listen at [{ipv6}]:3260", "ss -ltnp"),
        "addresses": ("198.51.100.77, which is no address", "taikun_floating"),
        "database": ("The database does not answer", "connection in section"),
        "schema": ("Not looked at: see database", ""),
        "service": ("Not looked at: see database", ""),
        "logical-volumes": ("Not looked at: see volume-group", ""),
        "thin-pool": ("Not looked at: see volume-group", ""),
    }
    for check, (found, cure) in words.items():
        assert found in wrong[check]["Found"]
        assert cure in wrong[check]["Cure"]
    assert wrong.keys() == words.keys() | {"physical-volumes"}
    assert "secret" not in str(wrong)


_NOTHING = 'use_devicesfile = 0\n global_filter = ["r|.*|"]'


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (
            "check_without_sudo",
            {
                "privileged-process": ("a password is required", "NOPASSWD"),
                "lvm-commands": ("sudo:", "see privileged-process"),
            },
        ),
        (
            "check_without_filters",
            {"lvm-commands": ("Unauthorized command", "volume.filters")},
        ),
    ],
)
def test_user_that_cannot_become_root_is_told(
    broken: SingleNode, function: str, words: dict[str, tuple[str, str]]
) -> None:
    wrong = _wrong(broken.node.call("tests.lab.guest.checked", function))
    for check, (found, cure) in words.items():
        assert wrong[check]["Result"] == "failed"
        assert found in wrong[check]["Found"]
        assert cure in wrong[check]["Cure"]
    untold = {name for name, row in wrong.items() if row["Result"] == "unknown"}
    assert wrong.keys() == words.keys() | untold
    assert {wrong[name]["Found"] for name in untold} == {
        "Not looked at: see lvm-commands"
    }


def test_a_kernel_without_lio_is_told(node: SingleNode) -> None:
    with node.backend():
        node.node.call("tests.lab.guest.checked", "prepare")
    node.node.call("tests.lab.guest.faults", "hide_modules")
    try:
        wrong = _wrong(_check(node))
    finally:
        node.node.call("tests.lab.guest.faults", "show_modules")
    assert "no module iscsi_target_mod" in wrong["kernel-modules"]["Found"]
    assert "modprobe iscsi_target_mod" in wrong["kernel-modules"]["Cure"]
    assert wrong["configfs"]["Result"] == "warning"


def test_another_user_is_told_whom_to_be(broken: SingleNode) -> None:
    wrong = _wrong(_check(broken, "", "root"))
    assert wrong["user"]["Result"] == "failed"
    assert "runuser -u cinder -- taikun-cinder check" in wrong["user"]["Cure"]
    untold = {name for name, row in wrong.items() if row["Result"] == "unknown"}
    assert wrong.keys() == {"user"} | untold
    assert {"privileged-process", "state-folder", "lock-path"} <= untold


@pytest.mark.thorough  # it waits for as long as a check may take
def test_lvm_that_hangs_is_given_up_and_the_rest_is_told(broken: SingleNode) -> None:
    with broken.node.session() as process:
        hold = "flock /run/lock/lvm/V_cinder-volumes sleep 200"
        process.start("lab.guest.command", "run", hold, 240)
        wrong = _wrong(_check(broken))
    assert wrong["lvm-commands"]["Found"] == "No answer after 60 s"
    assert "ps -eo" in wrong["lvm-commands"]["Cure"]
    assert wrong["volume-group"]["Found"] == "Not looked at: see lvm-commands"
    assert "database" not in wrong
