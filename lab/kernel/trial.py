# SPDX-License-Identifier: Apache-2.0
"""Boots a kernel by itself to see whether the lab can use it on this machine."""

import contextlib
import os
import re
import signal
import subprocess
import tempfile
from pathlib import Path

from lab.errors import LabError
from lab.guest.system import MODULES
from lab.kernel.image import Image
from lab.kernel.shim import build, environment

_INIT = Path(__file__).with_name("trial.sh")
#: In seconds; it takes one on a machine that has nothing else to do.
_PATIENCE = 60
#: A network of its own with a port; what follows is run in it.
_BESIDE_A_TAP = (
    *("unshare", "--net", "--", "sh", "-c"),
    'ip tuntap add trial mode tap && ip link set trial up && exec "$@"',
    "trial",
)
_SAID = re.compile(r"lab-trial: (.*)")


def boot(image: Image) -> str:
    """Boot a kernel, load the lab's modules, bring a link up, and power it off.

    Returns:
        the kernel's release, as ``uname -r`` says it.

    Raises:
        LabError: it does not boot, its modules do not fit, or this machine does not let
            it run its processes as it is told to; one line says what it said last.
    """
    with tempfile.TemporaryDirectory() as folder:
        console = _run(image, folder)
    said = _SAID.findall(console)
    if said[-1:] != ["done"]:
        lines = [line.strip() for line in console.splitlines() if line.strip()]
        raise LabError(f"it does not boot here: {(lines or ['it said nothing'])[-1]}")
    return str(said[0])


def _run(image: Image, folder: str) -> str:
    process = subprocess.Popen(
        [
            *_BESIDE_A_TAP,
            *image.command("trial", memory=128, init=_INIT, folder=folder),
            "vec0:transport=tap,ifname=trial,gro=1",
            f"lab_modules_to_load={','.join(MODULES)}",
        ],
        env=environment(folder, str(build(Path(folder)))),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        return process.communicate(timeout=_PATIENCE)[0]
    except subprocess.TimeoutExpired as late:
        said = (late.output or b"").decode(errors="replace")
        return f"{said}\nit was not through in {_PATIENCE} s"
    finally:
        # The kernel leads the group of the host processes in which its own ones run.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
