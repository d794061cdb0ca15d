# SPDX-License-Identifier: Apache-2.0
"""The checks of the node itself: its kernel, its links, and what it starts at boot."""

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from typing import Any

from oslo_concurrency import processutils

from taikun_cinder import target_faults
from taikun_cinder.access.model import Portal
from taikun_cinder.checks import commands
from taikun_cinder.checks.check import BackendCheck, NodeCheck
from taikun_cinder.checks.facts import Facts, Unanswered, run_as
from taikun_cinder.checks.findings import (
    Finding,
    failed,
    of_problems,
    ok,
    unknown,
    warning,
)
from taikun_cinder.cli.backends import Backend

_RESTORE = "taikun-cinder-restore.service"

#: The unit of cinder-volume, by distribution.
_SERVICES = ("cinder-volume.service", "openstack-cinder-volume.service")

#: Bits of /proc/sys/kernel/tainted that mean that a part of the kernel may hang
#: (admin-guide/tainted-kernels.rst).
_TAINTS = {7: "an oops or a bug", 14: "a soft lockup"}

_TIMEOUT = re.compile(
    r"^\s*node\.session\.timeo\.replacement_timeout\s*=\s*(\S+)", re.MULTILINE
)


def _user(facts: Facts) -> Iterator[Finding]:
    if user := facts.other_user:
        yield failed(
            f"cinder-volume's folders belong to user {user}, and this is another one",
            f"{run_as(user)}: what that user can do is not seen otherwise.",
        )
    else:
        yield ok("This is cinder-volume's user, as far as its folders tell")


def _kernel(facts: Facts) -> Iterator[Finding]:
    release = facts.node.release
    taints = int((facts.node.proc / "sys/kernel/tainted").read_text())
    found = [words for bit, words in _TAINTS.items() if taints >> bit & 1]
    if found:
        yield warning(
            f"The kernel {release} has had {' and '.join(found)} since the boot; calls "
            "of LIO may never come back",
            "See what it was (journalctl --dmesg), and plan a reboot of the node.",
        )
    else:
        yield ok(f"Linux {release}, without an oops or a lockup since the boot")


def _addresses(facts: Facts, backend: Backend) -> Iterator[Finding]:
    if not facts.place(backend).portals:
        raise Unanswered("options")
    yield from of_problems(
        target_faults.of_addresses(backend.options, facts.node),
        "The node has the addresses of the targets, or they float",
    )


def _links(facts: Facts, backend: Backend) -> Iterator[Finding]:
    try:
        said = commands.said("ip", "-json", "address", "show")
    except OSError:
        yield unknown("ip is not installed here (iproute2)")
        return
    portals = facts.place(backend).portals
    if not portals:
        raise Unanswered("options")
    interfaces = json.loads(said)
    faults = {portal: _faults(portal, interfaces) for portal in portals}
    here = [portal for portal, found in faults.items() if found]
    if not here:
        yield ok("No address of the targets is on an interface here (see addresses)")
        return
    dead = {portal: faults[portal][0] for portal in here if all(faults[portal])}
    for portal, fault in dead.items():
        kind = failed if len(dead) == len(portals) else warning
        yield kind(
            f"No host reaches {portal}: {fault}",
            "See the cable, the switch's port, the bond (ip -details link), and for an "
            "address that is taken who has it (ip neighbour, on another node).",
        )
    if not dead:
        yield ok(f"There is a link for {', '.join(map(str, here))}")


def _faults(portal: Portal, interfaces: list[dict[str, Any]]) -> list[str | None]:
    """Tell of each interface that has an address what is wrong with it, if anything."""
    return [
        _fault_of(address, interface)
        for interface in interfaces
        for address in interface.get("addr_info", ())
        if address.get("local") == portal.address
    ]


def _fault_of(address: Mapping[str, Any], link: Mapping[str, Any]) -> str | None:
    if address.get("dadfailed"):
        return f"another node has the address, as {link['ifname']} was told"
    if "UP" not in link["flags"]:
        return f"the interface {link['ifname']} is turned off"
    if "NO-CARRIER" in link["flags"] or link["operstate"] in _NO_LINK:
        return f"the interface {link['ifname']} has no link"
    return None


_NO_LINK = ("DOWN", "LOWERLAYERDOWN")


def _restore(facts: Facts) -> Iterator[Finding]:
    if not facts.node.has_systemd:
        yield unknown(
            "systemd does not run here (a container?)",
            "See that taikun-cinder restore is run at the boot of the node, before "
            "cinder-volume (page Give hosts their disks back after a reboot).",
        )
        return
    if not facts.node.starts(_RESTORE):
        yield warning(
            f"{_RESTORE} is not enabled: after a reboot of this node hosts wait for "
            "their disks until Cinder's database and cinder-volume are up",
            f"Copy the unit to /etc/systemd/system, and run systemctl enable "
            f"{_RESTORE} (page Give hosts their disks back after a reboot).",
        )
        return
    shown = _shown(_RESTORE)
    if shown.get("ActiveState") == "failed":
        yield warning(
            f"{_RESTORE} failed at the last boot ({shown.get('Result')})",
            f"See journalctl --unit {_RESTORE}, and put right what it says.",
        )
        return
    before = shown.get("Before", "").split()
    late = [
        service
        for service in _SERVICES
        if shown and facts.node.starts(service) and service not in before
    ]
    if late:
        yield warning(
            f"{_RESTORE} does not run before {late[0]}",
            f"Name {late[0]} in Before of the unit, and run systemctl daemon-reload.",
        )
    else:
        yield ok(f"{_RESTORE} is enabled")


def _shown(unit: str) -> dict[str, str]:
    """Give what systemd says of a unit; nothing if it does not answer."""
    try:
        said = commands.said(
            *("systemctl", "show", "--property", "ActiveState,Result,Before", unit)
        )
    except (OSError, processutils.ProcessExecutionError):
        return {}
    return dict(line.split("=", 1) for line in said.splitlines() if "=" in line)


def _initiator(_facts: Facts) -> Iterator[Finding]:
    if shutil.which("iscsiadm", path="/usr/sbin:/usr/bin:/sbin:/bin"):
        yield ok("open-iscsi is installed")
    else:
        yield warning(
            "iscsiadm is not installed, so Cinder can attach no volume to this node "
            "itself: backups, migrations and some images fail",
            "Install open-iscsi (iscsi-initiator-utils), and start iscsid.",
        )


def _timeouts(facts: Facts) -> Iterator[Finding]:
    own = ""
    try:
        text = (facts.node.root / "etc/iscsi/iscsid.conf").read_text()
    except OSError:
        pass
    else:
        if found := _TIMEOUT.search(text):
            own = f" (this node's own initiator waits {found[1]} s)"
    yield unknown(
        f"How long hosts wait for a disk that is away is set on the hosts{own}",
        "On each host see that node.session.timeo.replacement_timeout in "
        "/etc/iscsi/iscsid.conf, or with multipath no_path_retry and fast_io_fail_tmo "
        "in multipath.conf, lets it wait for longer than this node takes to boot.",
    )


USER = (
    NodeCheck(
        "user",
        "The command runs as the user of ``cinder-volume``. What only that user can "
        "tell is not looked at otherwise.",
        _user,
    ),
)

KERNEL = (
    NodeCheck(
        "kernel",
        "The running kernel has had no oops and no soft lockup since its boot.",
        _kernel,
    ),
)

NETWORK = (
    BackendCheck(
        "addresses",
        "The node has the addresses where targets listen, but for those that float.",
        _addresses,
    ),
    BackendCheck(
        "links",
        "The interfaces of these addresses are on and have a link, and no other node "
        "has the address.",
        _links,
    ),
)

BOOT = (
    NodeCheck(
        "restore-unit",
        "``taikun-cinder restore`` runs at the boot, before ``cinder-volume``, and did "
        "not fail at the last one (:doc:`restore`).",
        _restore,
    ),
    NodeCheck(
        "own-initiator",
        "Cinder can attach volumes to the node itself, for backups and migrations.",
        _initiator,
    ),
    NodeCheck(
        "initiator-timeouts",
        "How long hosts wait for a disk that is away. It is set on the hosts, so this "
        "row only says what to look at there.",
        _timeouts,
    ),
)
