# SPDX-License-Identifier: Apache-2.0
"""A process of the plain user ``cinder``, who may become root by cinder-rootwrap only.

This is how cinder-volume runs at an operator's, so privilege separation, the rootwrap
filters and what gets logged on the way are the real ones.
"""

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

from lab.guest.system import run
from lab.workdir import PROJECT

USER = "cinder"

_BIN = Path(sys.executable).parent
# Of its own: the node's root runs a cinder-volume with the usual ones.
_ETC = Path("/etc/cinder-of-a-plain-user")
_HOME = Path("/var/lib/cinder-of-a-plain-user")
_LOG = _HOME / "cinder.log"
_WISH = _HOME / "kill-the-privileged-process"

_CINDER_CONF = f"""\
[DEFAULT]
debug = true
default_log_levels =
log_file = {_LOG}
rootwrap_config = {_ETC}/rootwrap.conf
[oslo_concurrency]
lock_path = {_HOME}
"""
_ROOTWRAP_CONF = f"""\
[DEFAULT]
filters_path = {_ETC}/rootwrap.d
exec_dirs = {_BIN}
"""
_SUDOERS = f"""\
Defaults secure_path = {_BIN}:/usr/sbin:/usr/bin:/sbin:/bin
{USER} ALL=(root) NOPASSWD: {_BIN}/cinder-rootwrap {_ETC}/rootwrap.conf *
"""


def prepare() -> None:
    """Make the user and its configuration, as a package would."""
    if _HOME.exists():
        return
    run("useradd", "--system", "--home-dir", str(_HOME), "--create-home", USER)
    # It stays empty: oslo.rootwrap lets privsep-helper through (load_filters()).
    (_ETC / "rootwrap.d").mkdir(parents=True)
    (_ETC / "cinder.conf").write_text(_CINDER_CONF)
    (_ETC / "rootwrap.conf").write_text(_ROOTWRAP_CONF)
    sudoers = Path("/etc/sudoers.d/cinder")
    sudoers.write_text(_SUDOERS)
    sudoers.chmod(0o440)
    # Everybody has to get at the lab's interpreter, which may lie in root's home.
    for folder in Path(sys.executable).resolve().parents:
        folder.chmod(folder.stat().st_mode | 0o111)


def calls(requests: Sequence[tuple[str, Sequence[Any]]]) -> dict[str, Any]:
    """Call methods of our LIO target, one after the other, in one process of the user.

    Args:
        requests: each a method and its arguments. The method ``lose`` is ours: it has
            the privileged process killed.

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
        ["runuser", "-u", USER, "--", sys.executable, "-m", "lab.guest.plain_user"],
        input=pickle.dumps(list(requests)),
        capture_output=True,
        cwd=PROJECT,
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


def _privileged() -> list[Path]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        argv = (process / "cmdline").read_bytes().split(b"\0")
        if b"taikun_cinder.privsep.context" in argv and b"sudo" not in argv:
            found.append(process)
    return found


def _killer() -> None:
    """As root, kill the privileged process when the user wishes it."""
    while True:
        if _WISH.exists():
            for process in _privileged():
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

    from taikun_cinder.targets.lio import LioTarget  # noqa: PLC0415

    log.register_options(cfg.CONF)
    cfg.CONF(["--config-file", f"{_ETC}/cinder.conf"], project="cinder")
    log.setup(cfg.CONF, "cinder")
    priv_context.init(root_helper=shlex.split(utils.get_root_helper()))

    told: dict[str, Any] = {"results": [], "seconds": [], "processes": []}
    for method, arguments in pickle.load(sys.stdin.buffer):  # noqa: S301
        processes, start = _started(), time.monotonic()
        try:
            own = _lose if method == "lose" else getattr(LioTarget(), method)
            result = own(*arguments)
        except Exception as error:
            result = f"{type(error).__name__}: {error}"
        told["seconds"].append(time.monotonic() - start)
        told["processes"].append(_started() - processes)
        told["results"].append(result)
    every = Path("/proc").glob("[0-9]*/cmdline")
    told["argv"] = b"\n".join(one.read_bytes() for one in every).decode()
    told["status"] = [(one / "status").read_text() for one in _privileged()]
    return told


if __name__ == "__main__":
    answer = pickle.dumps(_serve())
    sys.stdout.buffer.write(answer)
