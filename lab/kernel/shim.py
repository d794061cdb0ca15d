# SPDX-License-Identifier: Apache-2.0
"""The environment that a kernel starts in, with what it needs of its C library."""

import hashlib
import os
import subprocess
from pathlib import Path

from lab.errors import LogError
from lab.kernel.store import cache

#: Each tells which kernels need it, and harms no other.
_SOURCES = [Path(__file__).with_name(name) for name in ("xstate.c", "libc.c")]


def environment(home: str) -> dict[str, str]:
    """Give the environment of a kernel.

    Args:
        home: a folder for the kernel's own files.

    Raises:
        LogError: the C compiler failed.
    """
    return {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": home,
        "LD_PRELOAD": str(build()),
        # A function that no library has ends the kernel at its start, and not later.
        "LD_BIND_NOW": "1",
    }


def build() -> Path:
    """Compile the library that is loaded before the kernel, once; give its path.

    Raises:
        LogError: the C compiler failed.
    """
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in _SOURCES))
    library = cache() / f"shim-{digest.hexdigest()[:12]}.so"
    if library.exists():
        return library
    library.parent.mkdir(parents=True, exist_ok=True)
    new = library.with_suffix(f".{os.getpid()}")
    command = ["cc", "-O2", "-shared", "-fPIC", "-o", str(new)]
    command += [*map(str, _SOURCES), "-ldl"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        log = cache() / "shim.log"
        log.write_text(done.stderr)
        raise LogError("the C compiler failed on the kernel's shim", log)
    new.replace(library)
    return library
