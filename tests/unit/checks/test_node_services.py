# SPDX-License-Identifier: Apache-2.0
"""The node: who looks, its kernel, its links, and what it starts at its boot."""

import json

import pytest

from taikun_cinder.checks.facts import Unanswered
from taikun_cinder.checks.findings import Outcome

UNIT = "taikun-cinder-restore.service"


def test_cinder_volumes_user_is_right(is_right, backend):
    one = backend()
    one.records.folder.mkdir()
    is_right("user", one)


def test_another_user_is_told_whom_to_look_as(only, backend, monkeypatch):
    one = backend()
    one.records.folder.mkdir()
    owner = one.records.folder.owner()
    monkeypatch.setattr("os.geteuid", lambda: 12345)
    outcome, text, cure = only("user", one)
    assert outcome is Outcome.FAILED
    assert f"belong to user {owner}" in text
    assert f"runuser -u {owner} -- taikun-cinder check" in cure


def test_user_is_told_by_cinders_state_where_there_are_no_records(
    only, backend, state_path, monkeypatch, tmp_path
):
    state_path(tmp_path)
    monkeypatch.setattr("os.geteuid", lambda: 12345)
    assert only("user", backend())[0] is Outcome.FAILED


@pytest.fixture
def taint(node):
    """Return a function that says what the kernel is tainted by."""
    return (node.proc / "sys/kernel/tainted").write_text


@pytest.mark.parametrize("number", ["0\n", "4097\n", "512\n"])
def test_kernel_without_an_oops_is_right(is_right, taint, number):
    taint(number)
    assert "6.12.1-lab" in is_right("kernel")


@pytest.mark.parametrize(
    ("number", "words"), [("128", "an oops"), ("20608", "and a soft lockup")]
)
def test_kernel_that_had_an_oops_is_told(only, taint, number, words):
    taint(number)
    outcome, text, cure = only("kernel")
    assert outcome is Outcome.WARNING
    assert words in text
    assert "reboot" in cure


def test_addresses_are_judged_as_at_a_start(is_right, only, backend, node):
    one = backend()
    is_right("addresses", one)
    node.network.away = {"192.0.2.11"}
    outcome, text, _ = only("addresses", one)
    assert outcome is Outcome.WARNING
    assert "192.0.2.11, which is no address of this node" in text


PATHS = {
    "target_ip_address": "2001:db8::11",
    "target_secondary_ip_addresses": ["192.0.2.11"],
}


def _interface(name, address, **differing):
    flags = ["BROADCAST", "MULTICAST", "UP", "LOWER_UP"]
    usual = {"ifname": name, "flags": flags, "operstate": "UP"}
    return {**usual, "addr_info": [{"local": address}], **differing}


@pytest.fixture
def links(commands):
    """Return a function that says what interfaces there are."""

    def links(*interfaces):
        commands.put("ip", f"cat <<'END'\n{json.dumps(interfaces)}\nEND")

    return links


@pytest.mark.parametrize("state", ["UP", "UNKNOWN"])
def test_links_that_are_up_are_right(is_right, backend, links, state):
    links(
        {"ifname": "lo", "flags": [], "operstate": "DOWN"},
        _interface("eth1", "192.0.2.11", operstate=state),
        _interface("eth2", "2001:db8::11", operstate=state),
    )
    is_right("links", backend(**PATHS))


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (
            {"operstate": "DOWN", "flags": ["NO-CARRIER", "UP"]},
            "the interface eth1 has no link",
        ),
        ({"operstate": "LOWERLAYERDOWN"}, "the interface eth1 has no link"),
        ({"operstate": "DOWN", "flags": []}, "the interface eth1 is turned off"),
        (
            {"addr_info": [{"local": "192.0.2.11", "dadfailed": True}]},
            "another node has the address",
        ),
    ],
)
def test_link_that_is_down_is_told(only, backend, links, broken, words):
    links(
        _interface("eth1", "192.0.2.11", **broken), _interface("eth2", "2001:db8::11")
    )
    outcome, text, _ = only("links", backend(**PATHS))
    assert outcome is Outcome.WARNING
    assert text == f"No host reaches 192.0.2.11:3260: {text.partition(': ')[2]}"
    assert words in text
    outcome, text, _ = only("links", backend())
    assert outcome is Outcome.FAILED
    assert words in text


def test_addresses_that_cannot_be_read_are_not_said_to_be_right(only, backend, links):
    links()
    for name in ("addresses", "links"):
        with pytest.raises(Unanswered, match="options"):
            only(name, backend(target_ip_address="storage1"))


def test_link_of_an_address_that_is_elsewhere_is_not_said_to_be_up(
    is_right, backend, links
):
    links(_interface("eth1", "192.0.2.99"))
    assert "No address" in is_right("links", backend())
    links(_interface("eth2", "2001:db8::11"))
    said = is_right("links", backend(**PATHS))
    assert "2001:db8::11" in said
    assert "192.0.2.11" not in said


def test_address_that_two_interfaces_have_needs_one_link(is_right, backend, links):
    links(
        _interface("eth1", "192.0.2.11", operstate="DOWN"),
        _interface("lo", "192.0.2.11", operstate="UNKNOWN"),
    )
    is_right("links", backend())


def test_node_without_the_command_cannot_tell(only, backend, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("taikun_cinder.checks.commands._MORE", "")
    assert only("links", backend())[0] is Outcome.UNKNOWN


@pytest.fixture
def boot(node, commands):
    """Return a function that sets up what systemd starts, and what it says of it."""

    def boot(*services, said="ActiveState=active\nResult=success\nBefore=\n"):
        (node.root / "run/systemd/system").mkdir(parents=True)
        wants = node.root / "etc/systemd/system/multi-user.target.wants"
        wants.mkdir(parents=True)
        for service in services:
            (wants / service).symlink_to("/nowhere")
        commands.put("systemctl", f"cat <<'END'\n{said}\nEND")

    return boot


def test_restore_at_the_boot_is_right(is_right, boot):
    boot(UNIT)
    is_right("restore-unit")


def test_container_cannot_tell_of_the_boot(only):
    outcome, _, cure = only("restore-unit")
    assert outcome is Outcome.UNKNOWN
    assert "taikun-cinder restore is run at the boot" in cure


def test_container_that_has_the_nodes_run_cannot_tell_either(only, boot, node):
    boot("cinder-volume.service")
    (node.root / ".dockerenv").touch()
    assert only("restore-unit")[0] is Outcome.UNKNOWN


def test_restore_that_is_not_enabled_is_told(only, boot):
    boot("cinder-volume.service")
    outcome, text, cure = only("restore-unit")
    assert outcome is Outcome.WARNING
    assert f"{UNIT} is not enabled" in text
    assert f"systemctl enable {UNIT}" in cure


def test_restore_that_failed_is_told(only, boot):
    boot(UNIT, said="Result=exit-code\nActiveState=failed\nBefore=x\n")
    outcome, text, cure = only("restore-unit")
    assert outcome is Outcome.WARNING
    assert "failed at the last boot (exit-code)" in text
    assert f"journalctl --unit {UNIT}" in cure


@pytest.mark.parametrize("early", [True, False])
def test_restore_that_comes_too_late_is_told(only, boot, early):
    service = "openstack-cinder-volume.service"
    before = f"shutdown.target {service if early else ''}"
    boot(UNIT, service, said=f"ActiveState=active\nResult=success\nBefore={before}\n")
    outcome, text, _ = only("restore-unit")
    assert (outcome is Outcome.OK) is early
    assert early or text == f"{UNIT} does not run before {service}"


def test_systemd_that_does_not_answer_is_no_fault(is_right, boot, commands):
    boot(UNIT, "cinder-volume.service")
    commands.put("systemctl", "exit 1")
    is_right("restore-unit")


@pytest.mark.parametrize("path", [None, "/usr/sbin/iscsiadm"])
def test_initiator_of_the_node_is_looked_for(only, monkeypatch, path):
    monkeypatch.setattr("shutil.which", lambda name, **named: path)
    outcome, _, cure = only("own-initiator")
    assert outcome is (Outcome.OK if path else Outcome.WARNING)
    assert path or "Install open-iscsi" in cure


def test_what_is_set_on_hosts_is_told_and_not_judged(only, node):
    outcome, text, cure = only("initiator-timeouts")
    assert outcome is Outcome.UNKNOWN
    assert "this node" not in text
    assert "replacement_timeout" in cure
    file = node.root / "etc/iscsi/iscsid.conf"
    file.parent.mkdir(parents=True)
    file.write_text("node.session.timeo.replacement_timeout = 5\n")
    assert "(this node's own initiator waits 5 s)" in only("initiator-timeouts")[1]
