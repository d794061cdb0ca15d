# SPDX-License-Identifier: Apache-2.0
"""The kernel's modules that LIO is made of."""

import errno
import subprocess

from taikun_cinder.privsep.refusal import KernelRefused

#: Where root looks for the few commands that it runs.
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"

_MODULES = ("target_core_mod", "target_core_iblock", "iscsi_target_mod")
_PATIENCE = 25


def load(*more: str) -> None:
    """Load what is not loaded or built in.

    Args:
        more: modules that not everybody needs.

    It takes no CAP_SYS_MODULE of ours: Linux gives a program that user 0 starts all
    capabilities again (capabilities(7), "Capabilities and execution of programs by
    root"), and oslo.privsep leaves the bounding set as it is.

    Raises:
        KernelRefused: modprobe failed.
    """
    try:
        done = subprocess.run(
            ["modprobe", "--all", *_MODULES, *more],
            env={"PATH": PATH},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
    except OSError as error:
        raise KernelRefused.of(-1, "run modprobe", error) from None
    except subprocess.TimeoutExpired:
        raise KernelRefused(-1, "load", "modprobe", errno.ETIMEDOUT) from None
    if done.returncode:
        doing = f"load the modules of LIO ({done.stderr.strip()})"
        raise KernelRefused(-1, doing, "modprobe", errno.ENOPKG)
