# SPDX-License-Identifier: Apache-2.0
"""The kernel's modules that LIO is made of."""

import errno

from taikun_cinder.privsep import commands
from taikun_cinder.privsep.refusal import KernelRefused

_MODULES = ("target_core_mod", "target_core_iblock", "iscsi_target_mod")


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
    done = commands.run("load", "modprobe", "--all", *_MODULES, *more)
    if done.returncode:
        doing = f"load the modules of LIO ({done.stderr.strip()})"
        raise KernelRefused(-1, doing, "modprobe", errno.ENOPKG)
