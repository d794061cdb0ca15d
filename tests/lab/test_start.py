# SPDX-License-Identifier: Apache-2.0
"""A wrong configuration is refused at start; the error names option and cure."""

import contextlib
from collections.abc import Iterator, Sequence

import pytest

from lab.node import Call
from lab.plan import STORAGE_NODE
from lab.single import SingleNode

pytestmark = pytest.mark.in_turn(4, of="file")


def _refusal(node: SingleNode, options: dict[str, str]) -> str:
    """Start a back end that must not come up; give what the operator reads."""
    with _log(node) as log, node.node.session() as process:
        try:
            started = _start(process, options)
        except Exception as refused:
            return str(refused)
        assert started is False
    return log[0]


def _said(node: SingleNode, options: dict[str, str]) -> str:
    """Start a back end that must come up; give what the operator is warned of."""
    with _log(node) as log, node.node.session() as process:
        assert _start(process, options) is True
    return "".join(part for part in log[0].split("\n20") if " WARNING " in part)


@contextlib.contextmanager
def _log(node: SingleNode) -> Iterator[list[str]]:
    """Give what is logged in the block, behind it."""
    log = node.node.kernel.console.with_name("cinder-volume.log")
    before = len(log.read_text()) if log.exists() else 0
    said: list[str] = []
    yield said
    said.append(log.read_text()[before:])


def _start(process: Call, options: dict[str, str]) -> bool:
    driver = "taikun_cinder.driver.MultiattachLVMDriver"
    return bool(process("lab.guest.volume", "start", driver, options))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"target_helper": "tgtadm"},
            ["target_helper", "tgtadm", "target_helper = lioadm", "[lvm-shared]"],
        ),
        ({"target_protocol": "iser"}, ["target_protocol", "iser", "iscsi"]),
        ({"lvm_share_target": "true"}, ["lvm_share_target"]),
        (
            {"volume_group": "no-such-group"},
            ["volume_group", "no-such-group", "cinder-volumes", "vgcreate"],
        ),
        (
            {"taikun_reconcile_interval": "-1", "taikun_secondary_mode": "RO"},
            [
                "2 thing(s)",
                "taikun_reconcile_interval",
                "greater than or equal to 0",
                "taikun_secondary_mode",
                "[rw, ro, deny]",
                "[lvm-shared]",
            ],
        ),
    ],
    ids=["target_helper", "target_protocol", "share_target", "volume_group", "range"],
)
def test_a_wrong_option_is_refused_by_name_with_its_cure(
    node: SingleNode, options: dict[str, str], words: Sequence[str]
) -> None:
    refusal = _refusal(node, options)
    for word in words:
        assert word in refusal


def test_a_node_without_configfs_mounts_it(node: SingleNode) -> None:
    node.node.call("tests.lab.guest.faults", "unmount_configfs")
    try:
        assert "put right" not in _said(node, {})
        assert "iscsi" in node.node.run("ls /sys/kernel/config/target")
    finally:
        node.node.run(
            "mountpoint -q /sys/kernel/config || "
            "mount -t configfs configfs /sys/kernel/config"
        )


def test_a_container_without_configfs_mounts_it(node: SingleNode) -> None:
    told = node.node.call(
        "tests.lab.guest.preflight",
        "told_in_container",
        "umount --lazy /sys/kernel/config",
    )
    assert "configfs" not in told
    # A container's own file system is not the node's.
    assert (
        "True /var/lib/cinder is a part of this container: Cinder's lock lioadm" in told
    )
    assert "a part of this container: the kernel keeps persistent reserv" in told


def test_configfs_that_is_read_only_is_refused(node: SingleNode) -> None:
    node.node.call("tests.lab.guest.preflight", "make_configfs_read_only")
    try:
        refusal = _refusal(node, {})
    finally:
        node.node.call("tests.lab.guest.preflight", "make_configfs_writable")
    assert "configfs is mounted read-only at /sys/kernel/config" in refusal
    assert "mount -o remount,rw" in refusal


def test_configfs_that_is_read_only_in_a_container_is_refused(
    node: SingleNode,
) -> None:
    told = node.node.call(
        "tests.lab.guest.preflight",
        "told_in_container",
        "mount --make-rprivate /\nmount -o remount,bind,ro /sys/kernel/config",
    )
    assert "False configfs is mounted read-only" in told
    assert "--volume /sys/kernel/config:/sys/kernel/config:rw" in told


def test_a_kernel_without_lio_is_refused(node: SingleNode) -> None:
    node.node.call("tests.lab.guest.faults", "hide_modules")
    try:
        refusal = _refusal(node, {})
    finally:
        node.node.call("tests.lab.guest.faults", "show_modules")
    release = node.node.run("uname -r").strip()
    for word in ("iscsi_target_mod", release, "modprobe"):
        assert word in refusal


def test_a_right_configuration_starts(node: SingleNode) -> None:
    with node.node.session() as process:
        assert _start(process, {}) is True


def test_an_address_of_another_node_is_warned_of_unless_it_floats(
    node: SingleNode,
) -> None:
    elsewhere = {"target_secondary_ip_addresses": "198.51.100.77,2001:db8:1::77"}
    said = _said(node, elsewhere)
    assert "2 thing(s) that should be put right" in said
    for address in ("198.51.100.77", "2001:db8:1::77"):
        assert f"has {address}, which is no address of this node" in said
    assert "taikun_floating_addresses" in said
    floating = "2001:db8:1:0::77,198.51.100.77"
    assert "put right" not in _said(
        node, {**elsewhere, "taikun_floating_addresses": floating}
    )
    # Floating addresses want this, and then any address can be bound to.
    node.node.run("sysctl -w net.ipv4.ip_nonlocal_bind=1")
    try:
        assert "198.51.100.77, which is no address" in _said(node, elsewhere)
    finally:
        node.node.run("sysctl -w net.ipv4.ip_nonlocal_bind=0")


ADDRESS = STORAGE_NODE.storage_address


@pytest.mark.parametrize(("address", "family"), [(ADDRESS, "own"), ("::", "any")])
def test_a_port_that_another_program_has_is_refused(
    node: SingleNode, address: str, family: str
) -> None:
    with node.node.session() as process:
        process("tests.lab.guest.preflight", "listen", address, 3260)
        refusal = _refusal(node, {})
        assert f"No target can listen at {ADDRESS}:3260" in refusal
        assert "another program" in refusal
        if family == "own":
            more = {"target_secondary_ip_addresses": STORAGE_NODE.storage_address_ipv6}
            assert f"listen at {ADDRESS}:3260" in _said(node, more)


@pytest.mark.parametrize("portal", ["0.0.0.0:3260", "[::]:3260"])
def test_a_port_that_another_target_has_everywhere_is_refused(
    node: SingleNode, portal: str
) -> None:
    _said(node, {})  # LIO is there
    node.node.call("tests.lab.guest.preflight", "listen_by_lio", portal)
    try:
        refusal = _refusal(node, {})
    finally:
        node.node.call("tests.lab.guest.preflight", "listen_no_more")
    assert f"LIO's target iqn.2026-11.example:another listens at {portal}" in refusal


def test_a_port_that_other_targets_have_at_our_address_is_shared(
    node: SingleNode,
) -> None:
    _said(node, {})
    portal = f"{ADDRESS}:3260"
    node.node.call("tests.lab.guest.preflight", "listen_by_lio", portal)
    try:
        assert "No target can listen" not in _said(node, {})
    finally:
        node.node.call("tests.lab.guest.preflight", "listen_no_more")


@pytest.mark.parametrize(
    "devices",
    ["use_devicesfile = 1", 'use_devicesfile = 0\n global_filter = ["r|.*|"]'],
    ids=["devices-file", "filter"],
)
def test_a_hidden_volume_group_is_not_to_be_made_anew(
    node: SingleNode, devices: str
) -> None:
    node.node.call("tests.lab.guest.preflight", "configure_lvm", devices)
    try:
        refusal = _refusal(node, {})
    finally:
        node.node.call("tests.lab.guest.preflight", "give_lvm_back")
    assert "The volume group cinder-volumes is there, on /dev/ubda" in refusal
    assert "Do not run vgcreate or pvcreate on /dev/ubda" in refusal
    assert "vgimportdevices cinder-volumes" in refusal
    assert "create it with vgcreate" not in refusal


RULE = "cinder ALL=(root)"


@pytest.mark.parametrize(
    ("sudoers", "words"),
    [
        ("", ["password", "NOPASSWD"]),
        (
            f"Defaults secure_path = /usr/bin:/bin\n{RULE} NOPASSWD: ALL\n",
            ["secure_path"],
        ),
    ],
    ids=["no rule", "path"],
)
def test_sudo_that_does_not_let_cinder_become_root_is_told_with_its_cure(
    node: SingleNode, sudoers: str, words: Sequence[str]
) -> None:
    told = node.node.call("tests.lab.guest.preflight", "told_with_sudoers", sudoers)
    assert told.startswith("False The privileged process of the driver does not start")
    for word in words:
        assert word in told


def test_rootwrap_that_does_not_find_the_helper_is_told(node: SingleNode) -> None:
    told = node.node.call("tests.lab.guest.preflight", "told_without_helper_in_path")
    assert "privsep-helper" in told
    assert "exec_dirs of rootwrap.conf" in told


@pytest.mark.parametrize(
    ("helper", "words"),
    [
        ("sh -c 'sleep 1000'", ["has not ended after 3 s"]),
        ("/no/such/helper", ["/no/such/helper: No such file", "helper_command"]),
        ("sh -c 'echo broken >&2; exit 3'", ["status 3: broken"]),
        ("true", ["has not called back after 3 s"]),
    ],
)
def test_helper_command_that_does_not_work_ends_in_time(
    node: SingleNode, helper: str, words: Sequence[str]
) -> None:
    told = node.node.call(
        "tests.lab.guest.preflight", "told_to_plain_user", helper, (), 3
    )
    for word in words:
        assert word in told


def test_a_node_that_gives_root_no_capability_is_told(node: SingleNode) -> None:
    told = node.node.call(
        "tests.lab.guest.preflight",
        "told_to_plain_user",
        "",
        ("setpriv", "--bounding-set", "-sys_admin"),
    )
    assert "CAP_SYS_ADMIN" in told
    assert "CapabilityBoundingSet" in told


def test_a_plain_user_with_all_that_it_needs_is_told_nothing(
    node: SingleNode,
) -> None:
    assert node.node.call("tests.lab.guest.preflight", "told_to_plain_user") == ""
