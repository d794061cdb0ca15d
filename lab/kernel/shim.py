# SPDX-License-Identifier: Apache-2.0
"""The environment that a kernel starts in, with what it needs of its C library."""

import subprocess
from pathlib import Path

from lab.errors import LogError

#: Each tells which kernels need it, and harms no other.
_SOURCES = [Path(__file__).with_name(name) for name in ("xstate.c", "libc.c")]


def environment(home: str, library: str) -> dict[str, str]:
    """Give the environment of a kernel.

    Args:
        home: a folder for the kernel's own files.
        library: what :func:`build` made.
    """
    return {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": home,
        "LD_PRELOAD": library,
        # A function that no library has ends the kernel at its start, and not later.
        "LD_BIND_NOW": "1",
    }


def build(folder: Path) -> Path:
    """Compile the library that is loaded before the kernel, once in a folder.

    Raises:
        LogError: the C compiler failed.
    """
    library = folder / "shim.so"
    if library.exists():
        return library
    # The standard before the one that gave strtol() another name.
    command = ["cc", "-std=gnu17", "-O2", "-shared", "-fPIC", "-o", str(library)]
    command += [*map(str, _SOURCES), "-ldl"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        log = folder / "shim.log"
        log.write_text(done.stderr)
        raise LogError("the C compiler failed on the kernel's shim", log)
    return library
