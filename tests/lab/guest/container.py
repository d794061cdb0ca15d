# SPDX-License-Identifier: Apache-2.0
"""A container of cinder-volume, with the mounts and rights of kolla-ansible's.

They are what ansible/roles/cinder/defaults/main.yml and templates/cinder-volume.json.j2
of kolla-ansible say (commit 1a681814 of 2026-08-19, the same in 2025.1 to 2026.1), and
what kolla's image does at its start (docker/cinder/cinder-volume/extend_start.sh). The
node's own files stand in for the image's.
"""

import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Collection, Sequence
from pathlib import Path

from lab.guest import daemons, service_user
from lab.guest.disks import mount_state
from lab.services.cinder_conf import ETC, STATE

#: Where Docker keeps the volumes that have a name.
VOLUMES = Path("/var/lib/docker/volumes")
TARGET = Path("/etc/target")

#: The group that may write to the folders of all services.
_GROUP = "kolla"

#: What Docker leaves to a container that is not privileged.
_RIGHTS = (
    "chown,dac_override,fowner,fsetid,kill,setgid,setuid,setpcap,net_bind_service,"
    "net_raw,sys_chroot,mknod,audit_write,setfcap"
)

#: The image, and the mounts that a container has whatever it is for. A kernel lets an
#: overlay lie over one other, as it does here over the node's root.
_IMAGE = f"""\
mount --make-rprivate /
mkdir -p /mnt/container
mount -t tmpfs -o mode=755 tmpfs /mnt/container
cd /mnt/container
mkdir upper work root
mount -t overlay -o lowerdir=/,upperdir=upper,workdir=work overlay root
cd root
rm -rf .{STATE} .{TARGET} ./etc/taikun_cinder ./etc/machine-id
mkdir -p .{STATE} .{TARGET} mnt/host
touch .dockerenv
chown {service_user.USER}: .{STATE} .{ETC}/cinder.conf
chmod 600 .{ETC}/cinder.conf
mount -t proc proc proc
mount -t sysfs sysfs sys
"""

_ENTER = """\
pivot_root . mnt/host
umount -l /mnt/host
cd /
"""


def volume(name: str) -> Path:
    """Give the folder of a volume that has a name; it is made if it is not there."""
    folder = VOLUMES / name / "_data"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _state() -> Path:
    """Give the volume ``cinder``, as the image leaves it for its group."""
    folder = volume("cinder")
    # The node's records, as a test begins and ends without a container.
    mount_state(folder / "taikun_cinder")
    subprocess.run(["groupadd", "--force", _GROUP], check=True)
    shutil.chown(folder, service_user.USER, _GROUP)
    folder.chmod(0o2775)
    service_user.own(folder / "taikun_cinder")
    return folder


def _mounts(lacks: Collection[str]) -> dict[str, tuple[Path, bool]]:
    """Give the mounts: what the container sees it as, and whether it may only read."""
    mounts = {
        "/dev": (Path("/dev"), False),
        "/run": (Path("/run"), False),
        "/lib/modules": (Path("/lib/modules"), True),
    }
    if "state" not in lacks:
        mounts[STATE] = (_state(), False)
    target = volume("target_config") if "reservations" in lacks else TARGET
    mounts[str(TARGET)] = (target, False)
    return mounts


def _layout(lacks: Collection[str]) -> str:
    script = _IMAGE
    for seen_as, (folder, read_only) in _mounts(lacks).items():
        script += f"mount --rbind {folder} .{seen_as}\n"
        if read_only:
            script += f"mount -o remount,bind,ro .{seen_as}\n"
    if "configfs" in lacks:
        script += "mount -t configfs configfs sys/kernel/config\n"
        script += "mount -o remount,bind,ro sys/kernel/config\n"
    return script + _ENTER


def _command(argv: Sequence[str], lacks: Collection[str]) -> list[str]:
    """Give the command that runs another one in a container, as cinder's user."""
    program = [str(service_user.BIN / argv[0]), *argv[1:]]
    user = ["setpriv", f"--reuid={service_user.USER}", f"--regid={service_user.USER}"]
    if "privileges" in lacks:
        few = ",".join(f"+{right}" for right in _RIGHTS.split(","))
        user.append(f"--bounding-set=-all,{few}")
    enter = shlex.join([*user, "--init-groups", "--", *program])
    own = ["/usr/bin/unshare", "--mount", "--pid", "--fork", "--kill-child"]
    return [*own, "/bin/sh", "-ec", f"{_layout(lacks)}exec {enter}"]


def start(name: str, argv: Sequence[str], lacks: Collection[str] = ()) -> int:
    """Start a daemon in a container; give the number of the process that holds it.

    Args:
        name: of the daemon and of its log.
        argv: its command.
        lacks: what this container has not, of ``state`` (the volume for it),
            ``reservations`` (the node's folder for them), ``configfs`` (that may be
            written to) and ``privileges``.
    """
    daemons.prepare_cinder()
    command = _command(argv, lacks)
    return daemons.start(name, command, "root", service_user.environment())


def stop(holder: int, number: int = signal.SIGTERM, timeout: float = 60) -> None:
    """Send a signal to the first process of a container, and wait until all has ended.

    Args:
        holder: what :func:`start` gave.
        number: SIGTERM for what ``docker stop`` does, SIGKILL for ``docker kill``.
        timeout: in seconds.
    """
    children = Path(f"/proc/{holder}/task/{holder}/children").read_text().split()
    os.kill(int(children[0]), number)
    deadline = time.monotonic() + timeout
    while Path(f"/proc/{children[0]}").exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"the container did not end in {timeout:.0f} s")
        time.sleep(0.05)


def run(argv: Sequence[str], lacks: Collection[str] = ()) -> str:
    """Run a command in a container of its own; give what it printed.

    Raises:
        RuntimeError: it ended with another status than 0.
    """
    daemons.prepare_cinder()
    done = subprocess.run(
        _command(argv, lacks),
        capture_output=True,
        text=True,
        check=False,
        env=service_user.environment(),
        timeout=200,
    )
    if done.returncode:
        raise RuntimeError(
            f"{argv[0]} ended with {done.returncode}: {done.stdout}{done.stderr}"
        )
    return done.stdout
