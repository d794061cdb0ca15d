# SPDX-License-Identifier: Apache-2.0
"""A volume group that nodes share by lvmlockd, its state volume, and another's lock.

The other node is a process that takes a lock of the DLM for itself, as its lvmlockd
would.
"""

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

from lab.guest import service_user
from lab.guest.disks import LVM_CONF
from lab.guest.system import run
from lab.guest.volume_settings import BACKEND
from lab.plan import NodePlan
from lab.workdir import PROJECT
from tests.lab.guest import dlm

GROUP = "moving"
MOUNT = Path("/srv/moving")
RECORDS = MOUNT / "records"
_RESERVATIONS = MOUNT / "reservations"

_DISK, _LOOP = Path("/run/moving.disk"), "/dev/loop7"
_SIZE = 8 * 2**30

_ROOT = Path("/etc/taikun_cinder/privileged.conf")

#: Where the agent has its place, and a command of this checkout.
_AGENT = Path("/usr/lib/ocf/resource.d/taikun/exports")
_BIN = Path("/opt/moving/bin")
_CONF = Path("/etc/cinder/moving.conf")
_SCRIPTS = {
    "taikun-cinder": "{python} -W ignore -m taikun_cinder.cli.main",
    "privsep-helper": "{bin}/privsep-helper",
    # Not by su or runuser, which would stay and be the one that is watched.
    "cinder-volume": "setpriv --reuid {user} --regid {user} --init-groups "
    "{bin}/cinder-volume",
}

#: cinder-volume, as a member of the group.
SERVICE = _BIN / "cinder-volume"

#: DLM's exclusive mode, and not to wait for a lock (libdlm.h).
_EXCLUSIVE, _AT_ONCE = 5, 1


def missing() -> list[str]:
    """Give what this needs and the node has not."""
    files = [] if _ocf_tester() else ["ocf-tester"]
    return dlm.missing() + files


def _ocf_tester() -> str | None:
    return shutil.which("ocf-tester", path="/usr/sbin:/usr/bin")


def make(plan: NodePlan) -> None:
    """Make such a group on this node alone, with the state volume mounted."""
    with _DISK.open("wb") as disk:
        disk.truncate(_SIZE)
    run("modprobe", "loop")
    run("losetup", _LOOP, str(_DISK))
    join(_LOOP, [plan])
    make_group(_LOOP)
    mount()


def join(disk: str, plans: list[NodePlan]) -> None:
    """Let this node be one of those that share a group on a disk, by DLM."""
    prepare(disk)
    use_lvmlockd()
    dlm.start_daemons(plans)


def prepare(disk: str) -> None:
    """Lay what a node needs before its daemons: LVM's configuration, the agent."""
    conf = LVM_CONF.replace("global_filter = [", f'global_filter = ["a|^{disk}$|", ')
    Path("/etc/lvm/lvm.conf").write_text(conf)
    MOUNT.mkdir(parents=True, exist_ok=True)
    _ROOT.write_text(_ROOT.read_text().rstrip() + f", {GROUP}\n")
    _install_agent()


def use_lvmlockd() -> None:
    """Let LVM's commands ask lvmlockd, which has to be started next."""
    with Path("/etc/lvm/lvm.conf").open("a") as conf:
        conf.write("global {\n    use_lvmlockd = 1\n}\n")


def make_group(disk: str, lock_type: str = "dlm") -> None:
    """Make the group, with a state volume that is active here."""
    run("vgcreate", "--yes", "--shared", "--lock-type", lock_type, GROUP, disk)
    run("vgchange", "--lockstart", GROUP)
    make_state_volume()


def make_state_volume() -> None:
    """Make the state volume, with its file system."""
    run("lvcreate", "--yes", "-L", "64M", "-n", "state", GROUP)
    run("mkfs.ext4", "-q", f"/dev/{GROUP}/state")


def mount(user: str = "root") -> None:
    """Mount the state volume, as a cluster manager does.

    Args:
        user: whose the records are.
    """
    run("mount", f"/dev/{GROUP}/state", str(MOUNT))
    RECORDS.mkdir(mode=0o700, exist_ok=True)
    shutil.chown(RECORDS, user, user)
    _RESERVATIONS.mkdir(mode=0o700, exist_ok=True)
    run("chattr", "+S", str(_RESERVATIONS))


def unmount() -> None:
    """Undo it, and let what was there before the records moved be seen again."""
    kept = [(path.name, path.read_bytes()) for path in RECORDS.glob("*.json")]
    run("umount", str(MOUNT))
    RECORDS.mkdir(mode=0o700, exist_ok=True)
    for name, content in kept:
        (RECORDS / name).write_bytes(content)


def deactivate(name: str) -> None:
    """Deactivate a logical volume, and give its lock back."""
    run("lvchange", "-an", f"{GROUP}/{name}")


def is_active(name: str) -> bool:
    """Say whether a logical volume is active."""
    return Path("/dev", GROUP, name).exists()


class _Status(ctypes.Structure):
    _fields_ = (
        ("status", ctypes.c_int),
        ("id", ctypes.c_uint32),
        ("flags", ctypes.c_char),
        ("value", ctypes.c_char_p),
    )


def lock(name: str) -> None:
    """Take a logical volume's lock until this process ends.

    Raises:
        OSError: somebody has it.
    """
    uuid = run("lvs", "--noheadings", "-o", "lv_uuid", f"{GROUP}/{name}").strip()
    library = ctypes.CDLL("libdlm.so.3", use_errno=True)
    library.dlm_open_lockspace.restype = ctypes.c_void_p
    space = ctypes.c_void_p(library.dlm_open_lockspace(f"lvm_{GROUP}".encode()))
    library.dlm_ls_pthread_init(space)  # else nobody takes the answer
    status = _Status()
    failed = library.dlm_ls_lock_wait(
        space,
        _EXCLUSIVE,
        ctypes.byref(status),
        _AT_ONCE,
        uuid.encode(),
        len(uuid),
        0,
        None,
        None,
        None,
    )
    if failed or status.status:
        raise OSError(status.status or ctypes.get_errno(), f"no lock of {name}")


def _install_agent() -> None:
    _AGENT.parent.mkdir(exist_ok=True)
    shutil.copy(PROJECT / "etc/ocf/exports", _AGENT)
    _AGENT.chmod(0o755)
    _BIN.mkdir(parents=True, exist_ok=True)
    for name, command in _SCRIPTS.items():
        line = command.format(
            python=sys.executable, bin=service_user.BIN, user=service_user.USER
        )
        script = _BIN / name
        script.write_text(
            f"#!/bin/sh\nexport PYTHONPATH={PROJECT} PATH={service_user.BIN}:$PATH\n"
            f'cd {PROJECT} && exec {line} "$@"\n'
        )
        script.chmod(0o755)
    _CONF.parent.mkdir(exist_ok=True)
    _CONF.write_text("[taikun_cinder_privsep]\nhelper_command = privsep-helper\n")


def parameters(
    backend: str = BACKEND, user: str = "root", file: str = str(_CONF)
) -> dict[str, str]:
    """Give the agent's parameters.

    Args:
        backend: the section.
        user: of cinder-volume.
        file: that is read behind cinder.conf.
    """
    return {
        "backend": backend,
        "volume_group": GROUP,
        "user": user,
        "command": str(_BIN / "taikun-cinder"),
        "config": f"/etc/cinder/cinder.conf {file}",
    }


def agent(action: str, level: int = 0) -> tuple[int, str]:
    """Call the agent; give its status, and what it said."""
    done = subprocess.run(
        [_AGENT, action],
        env={
            **os.environ,
            "OCF_ROOT": "/usr/lib/ocf",
            "OCF_RESOURCE_INSTANCE": "exports",
            "OCF_CHECK_LEVEL": str(level),
            "OCF_RESKEY_CRM_meta_timeout": "120000",
            **{f"OCF_RESKEY_{name}": value for name, value in parameters().items()},
        },
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def run_tester() -> tuple[int, str]:
    """Let ocf-tester test the agent; give its status, and what it said."""
    options = [f"-o{name}={value}" for name, value in parameters().items()]
    options = [part for one in options for part in (one[:2], one[2:])]
    done = subprocess.run(
        [_ocf_tester() or "", "-n", "exports", *options, _AGENT],
        env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr
