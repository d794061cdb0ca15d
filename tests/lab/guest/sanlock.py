# SPDX-License-Identifier: Apache-2.0
"""A back end that an operator moves by hand, with its group's locks on the disk itself.

sanlock keeps leases there, and each node's watchdog resets it when it cannot renew its
own. So nobody has to cut a lost node's power: it is dead once its lease has run out.
"""

import shutil
import time
from collections.abc import Mapping
from pathlib import Path

from lab.guest.disks import SHARED_DISK
from lab.guest.system import run
from lab.guest.volume_settings import SQLITE, configure
from lab.plan import NodePlan
from tests.lab.guest import shared_group
from tests.lab.guest.pacemaker import ADDRESS
from tests.lab.guest.shared_group import GROUP, MOUNT

#: How long sanlock waits for the disk, in seconds; its own is 10. A lease runs out
#: after eight times as long, and the watchdog takes a minute more.
IO_TIMEOUT = 4

_TOOLS = ("sanlock", "wdmd", "lvmlockd")
_ANNOUNCE = "/usr/libexec/heartbeat/send_arp"


def missing() -> list[str]:
    """Give the programs that this needs and the node has not."""
    path = "/usr/sbin:/sbin:/usr/bin:/bin"
    return [tool for tool in (*_TOOLS, _ANNOUNCE) if not shutil.which(tool, path=path)]


def join(plan: NodePlan, options: Mapping[str, str]) -> None:
    """Let this node share a group, with Cinder's configuration."""
    configure(options, SQLITE)
    shared_group.prepare(SHARED_DISK)
    Path("/etc/lvm/lvmlocal.conf").write_text(
        f"local {{\n    host_id = {plan.number}\n}}\n"
    )
    run("modprobe", "softdog")
    for name in ("sanlock", "wdmd", "lvm", "resource-agents"):
        Path("/run", name).mkdir(exist_ok=True)
    run("wdmd", "-G", "root")
    run("sanlock", "daemon", "-U", "root", "-G", "root")
    run("lvmlockd", "--sanlock-timeout", str(IO_TIMEOUT))


def make_group() -> None:
    """Make the group on the shared disk, and start it nowhere."""
    shared_group.make_group(SHARED_DISK, "sanlock")
    run("vgchange", "-an", GROUP)


def take(timeout: float) -> float:
    """Take the back end, once the other node's lease has run out.

    Args:
        timeout: how long to try, in seconds.

    Returns:
        after how many seconds the volumes were this node's.

    Raises:
        RuntimeError: they are the other node's still, or the exports do not start.
    """
    began = time.monotonic()
    while True:
        try:
            run("vgchange", "--lockstart", GROUP)
            run("vgchange", "-aey", GROUP)
            break
        except RuntimeError:
            if time.monotonic() - began > timeout:
                raise
            time.sleep(1)
    took = time.monotonic() - began
    shared_group.mount()
    run("ip", "address", "add", f"{ADDRESS}/24", "dev", "eth1")
    run(_ANNOUNCE, "-i", "200", "-r", "5", "eth1", ADDRESS, "auto", "x", "x")
    status, said = shared_group.agent("start")
    if status:
        raise RuntimeError(said)
    return took


def give_away() -> None:
    """Let the other node take the back end."""
    status, said = shared_group.agent("stop")
    if status:
        raise RuntimeError(said)
    run("ip", "address", "del", f"{ADDRESS}/24", "dev", "eth1")
    run("umount", str(MOUNT))
    run("vgchange", "-an", GROUP)
