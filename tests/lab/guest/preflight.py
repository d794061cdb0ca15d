# SPDX-License-Identifier: Apache-2.0
"""Looks at this node as a back end does at its start, and breaks it for that."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from lab.guest import service_user
from lab.guest.system import run
from lab.workdir import PROJECT
from tests.lab.guest import plain_user

_CONFIGFS = Path("/sys/kernel/config")
_ISCSI = _CONFIGFS / "target/iscsi"
_SUDOERS = service_user.SUDOERS
_LVM = Path("/etc/lvm/lvm.conf")

_listening: list[socket.socket] = []


def told_in_container(commands: str) -> str:
    """Give what root is told in mount and process namespaces of its own.

    Args:
        commands: what is run there before.
    """
    script = f"{commands}\ncd {PROJECT} && exec {sys.executable} -m {__name__}"
    own = ["unshare", "--mount", "--pid", "--fork", "--mount-proc"]
    return run(*own, "sh", "-ec", script)


def told_to_plain_user(
    helper: str = "", prefix: Sequence[str] = (), patience: float = 30
) -> str:
    """Give what the plain user is told, who becomes root by sudo.

    Args:
        helper: the privileged process's helper_command; Cinder's own if empty.
        prefix: a command that starts the process.
        patience: for the privileged process, in seconds.
    """
    plain_user.prepare()
    argv = [*prefix, "runuser", "-u", service_user.USER, "--", sys.executable]
    given = json.dumps({"helper": helper, "patience": patience})
    done = subprocess.run(
        [*argv, "-m", __name__, given],
        capture_output=True,
        text=True,
        cwd=PROJECT,
        env=service_user.environment(),
        timeout=200,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout


@contextlib.contextmanager
def _sudoers(text: str) -> Iterator[None]:
    plain_user.prepare()
    usual = _SUDOERS.read_text()
    _SUDOERS.write_text(text.format(usual=usual))
    try:
        yield
    finally:
        _SUDOERS.write_text(usual)


def told_with_sudoers(text: str) -> str:
    """Give what the plain user is told with other rules for sudo."""
    with _sudoers(text):
        return told_to_plain_user()


def told_without_helper_in_path() -> str:
    """Give what the plain user is told if rootwrap cannot find the helper."""
    plain_user.prepare()
    conf = Path(plain_user.ETC, "rootwrap.conf")
    usual = conf.read_text()
    conf.write_text(usual.replace(f"{plain_user.ETC}/bin", "/usr/bin"))
    assert conf.read_text() != usual
    try:
        return told_to_plain_user()
    finally:
        conf.write_text(usual)


def make_configfs_read_only() -> None:
    """Let nobody change LIO, as in a container that mounts configfs so."""
    run("mount", "-o", "remount,bind,ro", str(_CONFIGFS))


def make_configfs_writable() -> None:
    """Undo it."""
    run("mount", "-o", "remount,bind,rw", str(_CONFIGFS))


def listen(address: str, port: int) -> None:
    """Let a program of this process listen there."""
    wide = address == "::"
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    _listening.append(
        socket.create_server((address, port), family=family, dualstack_ipv6=wide)
    )


def listen_by_lio(portal: str) -> None:
    """Make a target of somebody else's that listens somewhere."""
    (_ISCSI / "iqn.2026-11.example:another/tpgt_1/np" / portal).mkdir(parents=True)


def listen_no_more() -> None:
    """Undo :func:`listen_by_lio`."""
    target = _ISCSI / "iqn.2026-11.example:another"
    for portal in (target / "tpgt_1/np").iterdir():
        portal.rmdir()
    (target / "tpgt_1").rmdir()
    target.rmdir()


def configure_lvm(devices: str) -> None:
    """Let LVM's configuration have other settings of devices, and an empty file."""
    shutil.copy(_LVM, "/run/lvm.conf")
    _LVM.write_text(f'devices {{\n types = ["ubd", 16]\n {devices}\n}}\n')
    Path("/etc/lvm/devices").mkdir(exist_ok=True)
    Path("/etc/lvm/devices/system.devices").touch()


def give_lvm_back() -> None:
    """Undo :func:`configure_lvm`."""
    shutil.copy("/run/lvm.conf", _LVM)
    Path("/etc/lvm/devices/system.devices").unlink()


def lose_reservations() -> str:
    """Remove the kernel's folder for them; give its path."""
    folder = Path((_CONFIGFS / "target/dbroot").read_text().strip(), "pr")
    shutil.rmtree(folder, ignore_errors=True)
    return str(folder)


def _main(given: Mapping[str, str]) -> None:
    # Only this process needs these, and it sets Cinder up as cinder-volume does.
    import shlex  # noqa: PLC0415

    from cinder import utils  # noqa: PLC0415
    from cinder.common import config  # noqa: F401, PLC0415 - Cinder's own options
    from oslo_config import cfg  # noqa: PLC0415
    from oslo_privsep import priv_context  # noqa: PLC0415

    from taikun_cinder import privsep  # noqa: PLC0415
    from taikun_cinder.node import Node  # noqa: PLC0415
    from taikun_cinder.privsep import helper  # noqa: PLC0415
    from taikun_cinder.targets.lio import readiness  # noqa: PLC0415

    file = [f"--config-file={plain_user.ETC}/cinder.conf"] if given else []
    cfg.CONF(file, project="cinder", default_config_files=[])
    cfg.CONF.set_default("lock_path", "/var/lib/cinder", "oslo_concurrency")
    if command := given.get("helper"):
        cfg.CONF.set_override("helper_command", command, "taikun_cinder_privsep")
    privsep.context.set_client_mode(os.geteuid() != 0)
    priv_context.init(root_helper=shlex.split(utils.get_root_helper()))
    helper.PATIENCE = float(given.get("patience", helper.PATIENCE))
    for problem in readiness.problems(Node(), ()):
        print(f"{problem.tolerable} {problem.fault}. {problem.cure}")


if __name__ == "__main__":
    _main(json.loads(sys.argv[1]) if sys.argv[1:] else {})
