# SPDX-License-Identifier: Apache-2.0
"""Our LIO target in a process of the plain user of ``lab.guest.service_user``."""

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lab.guest import service_user
from lab.guest.service_user import BIN, USER
from lab.guest.system import run
from lab.workdir import PROJECT
from tests.lab.guest import processes

#: Of its own: the node's root runs a cinder-volume with the usual ones.
ETC = Path("/etc/cinder-of-a-plain-user")
_HOME = Path("/var/lib/cinder-of-a-plain-user")
_LOG = _HOME / "cinder.log"
_WISH = _HOME / "kill-the-privileged-process"

_CINDER_CONF = f"""\
[DEFAULT]
debug = true
default_log_levels =
log_file = {_LOG}
rootwrap_config = {ETC}/rootwrap.conf
[oslo_concurrency]
lock_path = {_HOME}
"""
_ROOTWRAP_CONF = f"""\
[DEFAULT]
filters_path = {ETC}/rootwrap.d
exec_dirs = {ETC}/bin
"""
#: This checkout's, whatever the environment has installed.
_HELPER = f"""\
#!/bin/sh
PYTHONPATH={PROJECT} exec {BIN}/privsep-helper "$@"
"""

#: What the security page says: rootwrap starts no privsep-helper, and sudo ours only.
_CLOSED_SUDOERS = rf"""
Defaults secure_path = {BIN}:/usr/sbin:/usr/bin:/sbin:/bin
{USER} ALL=(root) NOPASSWD: {BIN}/cinder-rootwrap {ETC}/rootwrap.conf *, \
    !{BIN}/cinder-rootwrap *privsep-helper*
{USER} ALL=(root) NOPASSWD: {ETC}/bin/privsep-helper \
    ^--config-file {ETC}/cinder.conf \
--privsep_context taikun_cinder\.privsep\.context \
--privsep_sock_path /tmp/tmp[a-z0-9_]+/privsep\.sock$
"""
_CLOSED_CONF = f"""
[taikun_cinder_privsep]
helper_command = sudo {ETC}/bin/privsep-helper --config-file {ETC}/cinder.conf
"""
_SUDOERS = service_user.SUDOERS
_OTHER = _HOME / "other.conf"


def prepare() -> None:
    """Make the user and its configuration."""
    if ETC.exists():
        return
    service_user.make(_HOME, ETC)
    # It stays empty: oslo.rootwrap lets privsep-helper through (load_filters()).
    (ETC / "rootwrap.d").mkdir(parents=True)
    (ETC / "bin").mkdir()
    (ETC / "bin/privsep-helper").write_text(_HELPER)
    (ETC / "bin/privsep-helper").chmod(0o755)
    (ETC / "cinder.conf").write_text(_CINDER_CONF)
    (ETC / "rootwrap.conf").write_text(_ROOTWRAP_CONF)


def interpreters() -> set[str]:
    """Give what root's Python and the user's say that they are."""
    prepare()
    ask = [sys.executable, "-c", "import os, sys; print(sys.version, os.__file__)"]
    return {run(*ask), run("runuser", "-u", USER, "--", *ask)}


def close() -> str:
    """Let the user start our privileged process and no other, as ``SUDOERS`` says.

    Returns:
        what sudoers said before, for :func:`reopen`.
    """
    prepare()
    before = _SUDOERS.read_text()
    _SUDOERS.write_text(_CLOSED_SUDOERS)
    run("visudo", "--check", "--file", str(_SUDOERS))
    (ETC / "cinder.conf").write_text(_CINDER_CONF + _CLOSED_CONF)
    return before


def reopen(before: str) -> None:
    """Undo :func:`close`."""
    _SUDOERS.write_text(before)
    (ETC / "cinder.conf").write_text(_CINDER_CONF)


def attempts() -> list[str]:
    """Let the user try to start privileged processes of other kinds; give the answers.

    Returns:
        those of the attempts that sudo let through.
    """
    ours = "--privsep_context taikun_cinder.privsep.context"
    others = "--privsep_context os_brick.privileged.default"
    socket = "--privsep_sock_path /tmp/tmpabc/privsep.sock"
    conf, own = (f"--config-file {path}" for path in (ETC / "cinder.conf", _OTHER))
    rootwrap = f"{BIN}/cinder-rootwrap {ETC}/rootwrap.conf"
    tried = [
        f"{rootwrap} privsep-helper {conf} {others} {socket}",
        f"{rootwrap} privsep-helper {conf} {ours} {socket}",
        f"{rootwrap} {BIN}/privsep-helper {conf} {ours} {socket}",
        f"{ETC}/bin/privsep-helper {conf} {others} {socket}",
        f"{ETC}/bin/privsep-helper {own} {ours} {socket}",
        f"{ETC}/bin/privsep-helper {conf} {own} {ours} {socket}",
        f"{ETC}/bin/privsep-helper {conf} {ours} --privsep_sock_path "
        f"/tmp/tmpabc/x {own} /tmp/tmpabc/privsep.sock",  # noqa: S108
    ]
    command = ["runuser", "-u", USER, "--", "sudo", "--non-interactive", "--list"]
    return [
        one
        for one in tried
        if not subprocess.run(
            [*command, *one.split()], capture_output=True, check=False
        ).returncode
    ]


def calls(requests: Sequence[tuple[str, Sequence[Any]]]) -> dict[str, Any]:
    """Call methods of our LIO target, one after the other, in one process of the user.

    Args:
        requests: each a method and its arguments. The method ``lose`` is ours: it has
            the privileged process killed; and ``look`` looks at a device.

    Returns:
        ``results``: of each call its result, or the exception's text; ``seconds`` and
        ``processes``: what each took, and how many processes the node started during
        it; ``log``: everything that was logged at debug level; ``argv``: the command
        lines of all processes; ``status``: of the privileged process, see proc(5).
    """
    prepare()
    _LOG.unlink(missing_ok=True)
    _WISH.unlink(missing_ok=True)
    threading.Thread(target=_killer, daemon=True).start()
    done = subprocess.run(
        ["runuser", "-u", USER, "--", sys.executable, "-m", __name__],
        input=pickle.dumps(list(requests)),
        capture_output=True,
        cwd=PROJECT,
        env=service_user.environment(),
        timeout=240,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr.decode() + _LOG.read_text())
    told: dict[str, Any] = pickle.loads(done.stdout)  # noqa: S301 - our own process
    return {**told, "log": _LOG.read_text() + done.stderr.decode()}


def _started() -> int:
    """Give how many processes and threads this kernel has started so far."""
    for line in Path("/proc/stat").read_text().splitlines():
        if line.startswith("processes "):
            return int(line.split()[1])
    raise RuntimeError("/proc/stat does not tell")


def _killer() -> None:
    """As root, kill the privileged process when the user wishes it."""
    while True:
        if _WISH.exists():
            for process in processes.privileged():
                os.kill(int(process.name), signal.SIGKILL)
            _WISH.unlink()
        time.sleep(0.01)


def _lose() -> None:
    _WISH.touch()
    while _WISH.exists():
        time.sleep(0.01)


def _serve() -> dict[str, Any]:
    # Only this process needs these, and it sets Cinder up as cinder-volume does.
    import shlex  # noqa: PLC0415

    from cinder import utils  # noqa: PLC0415
    from cinder.common import config  # noqa: F401, PLC0415 - Cinder's own options
    from oslo_config import cfg  # noqa: PLC0415
    from oslo_log import log  # noqa: PLC0415
    from oslo_privsep import priv_context  # noqa: PLC0415

    from taikun_cinder import contents  # noqa: PLC0415
    from taikun_cinder.targets.lio.target import LioTarget  # noqa: PLC0415

    log.register_options(cfg.CONF)
    cfg.CONF(["--config-file", f"{ETC}/cinder.conf"], project="cinder")
    log.setup(cfg.CONF, "cinder")
    priv_context.init(root_helper=shlex.split(utils.get_root_helper()))

    told: dict[str, Any] = {"results": [], "seconds": [], "processes": []}
    for method, arguments in pickle.load(sys.stdin.buffer):  # noqa: S301
        before, start = _started(), time.monotonic()
        try:
            own: Any = {"lose": _lose, "look": contents.look}.get(method)
            result = (own or getattr(LioTarget(), method))(*arguments)
        except Exception as error:
            result = f"{type(error).__name__}: {error}"
        told["seconds"].append(time.monotonic() - start)
        told["processes"].append(_started() - before)
        told["results"].append(result)
    told["argv"] = "\n".join(processes.command_lines())
    told["status"] = [
        (folder / "status").read_text() for folder in processes.privileged()
    ]
    return told


if __name__ == "__main__":
    answer = pickle.dumps(_serve())
    sys.stdout.buffer.write(answer)
