# SPDX-License-Identifier: Apache-2.0
"""Makes a compute node a host of servers: libvirt, ssh to the other hosts, Nova."""

import os
import pwd
import shutil
import socket
import subprocess
import time
from pathlib import Path

from lab.guest import daemons
from lab.guest.system import run
from lab.workdir import INSIDE

#: Everything as root, and without what a kernel that runs as a process has not.
_QEMU = """\
user = "root"
group = "root"
security_driver = "none"
cgroup_controllers = []
namespaces = []
remember_owner = 0
"""
#: Other hosts come by TCP when a server moves; only the lab's own network reaches it.
_LIBVIRT = """\
listen_tls = 0
listen_tcp = 1
listen_addr = "{}"
auth_tcp = "none"
auth_unix_ro = "none"
auth_unix_rw = "none"
"""
#: The other hosts are who the lab's plan says.
_SSH = """\
StrictHostKeyChecking no
UserKnownHostsFile /dev/null
LogLevel ERROR
"""


#: Root's, whom all of it runs as.
_HOME = Path("~root").expanduser()


def start(address: str, state: str, binaries: str) -> None:
    """Start all of it; a host that is started anew knows no server any more.

    Args:
        address: the host's, for the other ones.
        state: Nova's folder.
        binaries: where Nova's commands are.

    Raises:
        RuntimeError: a daemon does not serve; its log tells why.
    """
    name, env = socket.gethostname(), _environment(binaries)
    _serve_ssh(name, address, env)
    _serve_libvirt(name, address, env)
    start_nova(state, binaries)


def start_nova(state: str, binaries: str) -> None:
    """Start nova-compute alone, for the first time or after :func:`end_nova`."""
    name = socket.gethostname()
    etc = INSIDE / "etc/nova" / name
    for folder in (f"{state}/instances", f"{state}/locks"):
        Path(folder).mkdir(parents=True, exist_ok=True)
    shutil.copy(etc / "compute_id", state)
    argv = [f"{binaries}/nova-compute", "--config-file", f"{etc}/nova.conf"]
    daemons.start(f"nova-{name}", argv, "root", _environment(binaries))


def end_nova() -> None:
    """End nova-compute alone; servers run on."""
    daemons.end(f"nova-{socket.gethostname()}", timeout=200)


def _environment(binaries: str) -> dict[str, str]:
    own = {"PATH": f"{binaries}:{os.environ['PATH']}", "HOME": str(_HOME)}
    quiet = {"PYTHONWARNINGS": "ignore", "PYTHONDONTWRITEBYTECODE": "1"}
    return {**os.environ, **own, **quiet}


def _serve_ssh(name: str, address: str, env: dict[str, str]) -> None:
    own, key = _HOME / ".ssh", INSIDE / "etc/nova/ssh/key"
    own.mkdir(mode=0o700, exist_ok=True)
    shutil.copy(key.with_suffix(".pub"), own / "authorized_keys")
    shutil.copy(key, own / "id_ed25519")
    (own / "id_ed25519").chmod(0o600)
    (own / "config").write_text(_SSH)
    Path("/etc/dropbear").mkdir(exist_ok=True)  # it makes its own keys there
    argv = ["/usr/sbin/dropbear", "-F", "-E", "-R", "-p", f"{address}:22"]
    daemons.start(f"ssh-{name}", argv, "root", env)


def _serve_libvirt(name: str, address: str, env: dict[str, str]) -> None:
    # The user of Debian's libvirt-daemon-system, which has services of the machine's.
    # libvirtd looks for it before it reads that it is to be root.
    # A machine that has that package has the user as well.
    try:
        pwd.getpwnam("libvirt-qemu")
    except KeyError:
        run("useradd", "--system", "--user-group", "libvirt-qemu")
    etc = Path("/etc/libvirt")
    (etc / "qemu.conf").write_text(_QEMU)
    (etc / "libvirtd.conf").write_text(_LIBVIRT.format(address))
    for folder in ("/var/lib/libvirt/qemu", "/var/log/libvirt/qemu", "/run/libvirt"):
        Path(folder).mkdir(parents=True, exist_ok=True)
    daemons.start(f"virtlogd-{name}", ["/usr/sbin/virtlogd"], "root", env)
    daemons.start(f"libvirtd-{name}", ["/usr/sbin/libvirtd", "-l"], "root", env)
    _wait_for_libvirt(name)


def _wait_for_libvirt(name: str, timeout: float = 180) -> None:
    deadline = time.monotonic() + timeout
    while virsh("version").returncode:
        if time.monotonic() > deadline:
            raise RuntimeError(f"libvirtd of {name} does not serve; see its log")
        time.sleep(0.5)


def virsh(*words: str) -> "subprocess.CompletedProcess[str]":
    """Run a command of libvirt's shell."""
    argv = ["virsh", "--connect", "qemu:///system", *words]
    return subprocess.run(argv, capture_output=True, text=True, check=False)
