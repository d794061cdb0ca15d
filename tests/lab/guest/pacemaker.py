# SPDX-License-Identifier: Apache-2.0
"""Pacemaker with a back end's volume group, records, address and exports as a group."""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from lab.guest import daemons
from lab.guest.disks import SHARED_DISK
from lab.guest.system import run
from lab.guest.volume_settings import SQLITE, configure
from lab.plan import STORAGE, STORAGE_NODE, NodePlan
from lab.services.cinder_conf import ETC
from lab.workdir import INSIDE, PROJECT
from tests.lab.guest import shared_group
from tests.lab.guest.shared_group import GROUP, MOUNT

#: The address that moves, and the group of resources.
ADDRESS = STORAGE.format(100).partition("/")[0]
RESOURCES = "moving-back-end"

#: Where Pacemaker looks for fence agents, and the lab's.
_FENCE_AGENT = Path("/usr/sbin/fence_lab")
_FENCE = f"""\
#!/bin/sh
cd {PROJECT} && exec {sys.executable} -m lab.guest.fence_lab "$@"
"""
#: Of two nodes that lose each other, the first one fences the other and not the other
#: way round: it is fenced some seconds later. DLM's own requests heed this delay, too.
_SWITCH = f"""\
<primitive id="switch" class="stonith" type="fence_lab">
<instance_attributes id="switch-parameters">
<nvpair id="switch-delay" name="pcmk_delay_base" value="{STORAGE_NODE.name}:5s"/>
</instance_attributes>
<operations><op id="switch-monitor" name="monitor" interval="60s"/></operations>
</primitive>
"""

#: Where the back end starts. It waits until Pacemaker knows, and stays where it is when
#: a node comes back.
_HOME = f"""\
<constraints>
<rsc_location id="home" rsc="{RESOURCES}" node="{STORAGE_NODE.name}" score="50"/>
</constraints>
"""
_META = """\
<meta_attributes id="moving-meta">
<nvpair id="moving-stickiness" name="resource-stickiness" value="100"/>
<nvpair id="moving-role" name="target-role" value="Stopped"/>
</meta_attributes>
"""

#: A member of the group: its id, its agent, its parameters.
_Member = tuple[str, str, Mapping[str, str]]

_TOOLS = ("pacemakerd", "cibadmin", "crm_resource", "crm_mon")

#: A primitive of the group: its id, its agent, its parameters.
_PRIMITIVE = """\
<primitive id="{id}" class="ocf" provider="{provider}" type="{type}">
<instance_attributes id="{id}-parameters">{parameters}</instance_attributes>
<operations>
<op id="{id}-start" name="start" interval="0" timeout="180s"/>
<op id="{id}-stop" name="stop" interval="0" timeout="180s"/>
<op id="{id}-monitor" name="monitor" interval="30s" timeout="120s"/>
</operations>
</primitive>
"""


def missing() -> list[str]:
    """Give the programs that this needs and the node has not."""
    path = "/usr/sbin:/sbin:/usr/bin:/bin"
    tools = [tool for tool in _TOOLS if shutil.which(tool, path=path) is None]
    return [*shared_group.missing(), *tools]


def join(plans: list[NodePlan], options: Mapping[str, str]) -> None:
    """Let this node be one of a cluster of these, with Cinder's configuration."""
    configure(options, SQLITE)
    _join(plans)


def join_services(plans: list[NodePlan], user: str) -> None:
    """Let this node be one of a cluster of these, with Cinder's services of a user."""
    daemons.prepare_cinder(user)
    _join(plans)


def _join(plans: list[NodePlan]) -> None:
    _FENCE_AGENT.write_text(_FENCE)
    _FENCE_AGENT.chmod(0o755)
    shared_group.join(SHARED_DISK, plans)


def make_group(user: str = "root") -> None:
    """Make the group on the shared disk, and leave it to Pacemaker.

    Args:
        user: whose the records are.
    """
    shared_group.make_group(SHARED_DISK)
    shared_group.mount(user)
    run("umount", str(MOUNT))
    run("vgchange", "-an", GROUP)


def start() -> None:
    """Start Pacemaker, once the group is there, and its locks on this node."""
    run("vgchange", "--lockstart", GROUP)
    Path("/run/resource-agents").mkdir(exist_ok=True)
    for folder in ("/var/lib/pacemaker/cib", "/var/log/pacemaker"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        shutil.chown(folder, "hacluster", "haclient")
    with Path("/run/pacemakerd.log").open("w") as log:
        subprocess.Popen(
            ["/usr/sbin/pacemakerd"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    _wait("it serves", lambda: "Online" in status(), 120)


def status() -> str:
    """Give what Pacemaker says of the cluster; what is wrong, if it does not say."""
    done = subprocess.run(
        ["crm_mon", "-1", "-r", "-f"], capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


def make_back_end() -> None:
    """Let Pacemaker start the back end on the first node, and fence lost ones."""
    _make(shared_group.parameters())


def make_back_end_with_service(backend: str, file: str, user: str) -> None:
    """Do the same with a cinder-volume of a user as the last of the group.

    Args:
        backend: its section.
        file: that is read behind cinder.conf.
        user: whom it runs as.
    """
    options = f"--config-file {ETC}/cinder.conf --config-file {file}"
    service = {
        "binfile": str(shared_group.SERVICE),
        "cmdline_options": options,
        "pidfile": "/run/cinder-volume-moving.pid",
        "logfile": str(INSIDE / "logs" / "cinder-volume.log"),
    }
    exports = shared_group.parameters(backend, user, file)
    _make(exports, ("service", "heartbeat:anything", service))
    # Or one that does not start would move the group, and all disks with it.
    critical = ("--meta", "--set-parameter", "critical", "--parameter-value", "false")
    run("crm_resource", "--resource", "service", *critical)


def _members(exports: Mapping[str, str]) -> list[_Member]:
    group = {
        "vgname": GROUP,
        "vg_access_mode": "lvmlockd",
        "activation_mode": "exclusive",
    }
    records = {
        "device": f"/dev/{GROUP}/state",
        "directory": str(MOUNT),
        "fstype": "ext4",
    }
    address = {"ip": ADDRESS, "cidr_netmask": "24", "nic": "eth1"}
    return [
        ("group", "heartbeat:LVM-activate", group),
        ("records", "heartbeat:Filesystem", records),
        ("address", "heartbeat:IPaddr2", address),
        ("exports", "taikun:exports", exports),
    ]


def _make(exports: Mapping[str, str], *more: _Member) -> None:
    members = (*_members(exports), *more)
    made = "".join(_primitive(*member) for member in members)
    group = f'<group id="{RESOURCES}">{_META}{made}</group>'
    ahead = _primitive("ahead", "taikun:exports", {**exports, "ahead": "1"})
    clone = f'<clone id="ahead-clone">{ahead}</clone>'
    _replace("resources", f"<resources>{_SWITCH}{clone}{group}</resources>")
    _replace("constraints", _HOME)
    run("crm_resource", "--resource", RESOURCES, "--meta", "-d", "target-role")


def _replace(section: str, text: str) -> None:
    run("cibadmin", "--replace", "--scope", section, "--xml-text", text)


def _primitive(identity: str, agent: str, parameters: Mapping[str, str]) -> str:
    provider, _, kind = agent.partition(":")
    pairs = "".join(
        f'<nvpair id="{identity}-{name}" name="{name}" value="{value}"/>'
        for name, value in parameters.items()
    )
    return _PRIMITIVE.format(
        id=identity, provider=provider, type=kind, parameters=pairs
    )


def move(node: str) -> None:
    """Ask Pacemaker to move the back end to a node."""
    run("crm_resource", "--move", "--resource", RESOURCES, "--node", node)


def forget_moves() -> None:
    """Let the back end be on any node again, as one does behind a move."""
    run("crm_resource", "--clear", "--resource", RESOURCES)


def lose(plan: NodePlan) -> None:
    """Let nothing reach another storage node from here, while hosts' I/O goes on.

    By a hardware address that nobody has. Where a packet cannot be sent at all, the
    node is too busy to answer anybody.
    """
    nobody = ("lladdr", "02:00:00:00:ff:ff", "nud", "permanent")
    run("ip", "neigh", "replace", plan.storage_address, *nobody, "dev", "eth1")


def wait_for_nodes(number: int, timeout: float = 120) -> None:
    """Wait until as many nodes work as Pacemaker's.

    Raises:
        TimeoutError: they do not; with what Pacemaker says.
    """
    _wait(f"{number} nodes are online", lambda: _online() == number, timeout)


def _online() -> int:
    lines = (line for line in status().splitlines() if "Online:" in line)
    return sum(len(line.partition("[")[2].split()) - 1 for line in lines)


def wait_for(node: str, timeout: float = 180) -> None:
    """Wait until the exports are started on a node.

    Raises:
        TimeoutError: they are not; with what Pacemaker says.
    """
    wanted = f"* exports\t(ocf:taikun:exports):\t Started {node}\n"
    _wait(f"the exports run on {node}", lambda: wanted in status(), timeout)


def _wait(what: str, done: Callable[[], bool], timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while not done():
        if time.monotonic() > deadline:
            logs = Path("/run/pacemakerd.log"), Path("/var/log/pacemaker/pacemaker.log")
            told = [log.read_text()[-3000:] for log in logs if log.exists()]
            raise TimeoutError(
                "\n".join([f"in {timeout:.0f} s {what}", status(), *told])
            )
        time.sleep(0.5)
