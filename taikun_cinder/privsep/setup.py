# SPDX-License-Identifier: Apache-2.0
"""Makes LIO ready to export: configfs, the modules, the folder for reservations."""

import contextlib
import errno
import os
from pathlib import Path

from taikun_cinder.privsep import (
    backstores,
    commands,
    context,
    files,
    modules,
    reservations,
)
from taikun_cinder.privsep.refusal import KernelRefused

#: Where configfs belongs. The kernel makes this folder with the module configfs.
CONFIGFS = Path("/sys/kernel/config")


@context.entrypoint
def power() -> tuple[int, int]:
    """Give the user of this process, and its effective capabilities, a bit for each."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (found,) = (line.split()[1] for line in lines if line.startswith("CapEff:"))
    return os.geteuid(), int(found, 16)


@context.entrypoint
def prepare() -> list[tuple[str, int]]:
    """Make LIO ready, and tell what it can do without.

    Returns:
        ``(FOLDER, ERROR NUMBER)`` of the folder for persistent reservations, if it
        cannot be made; nothing if all is well.

    Raises:
        KernelRefused: LIO cannot be made ready.
    """
    ready()
    try:
        reservations.prepare()
    except OSError as error:
        return [(str(reservations.folder()), error.errno or 0)]
    return []


def ready() -> None:
    """See that LIO can be changed. Costs a few looks once it is.

    Raises:
        KernelRefused: it cannot.
    """
    if not os.path.isdir(backstores.ISCSI):
        _set_up()
    # Whoever set LIO up before us may not have made it, and somebody may remove it.
    with contextlib.suppress(OSError):
        reservations.prepare()


def _set_up() -> None:
    if CONFIGFS.is_dir():
        _mount()
    if not os.path.isdir(backstores.CORE):
        modules.load()
        _mount()
    try:
        # Makes the kernel load iscsi_target_mod by itself, if it is not loaded yet
        # (target_core_register_fabric() in target_core_configfs.c).
        files.make(backstores.ISCSI)
    except OSError as error:
        raise KernelRefused.of(-1, "set up LIO", error) from None


def _mount() -> None:
    """Mount configfs, as rtslib does; a container's image mounts nothing."""
    if os.path.ismount(CONFIGFS):
        return
    done = commands.run(
        "mount configfs", "mount", "-t", "configfs", "configfs", str(CONFIGFS)
    )
    if done.returncode and not os.path.ismount(CONFIGFS):
        doing = f"mount configfs ({' '.join(done.stderr.split())})"
        raise KernelRefused(-1, doing, str(CONFIGFS), errno.EPERM)
