# SPDX-License-Identifier: Apache-2.0
"""Tells whether the kernel clears the memory that it allocates (``init_on_alloc``).

Where it does not, what a part of the kernel forgets to set is left over from others.
"""

import contextlib
import errno
import functools
import gzip
import os
import re
from collections.abc import Iterator
from pathlib import Path

#: What the kernel says of it when it boots (report_meminit() in mm/mm_init.c, and in
#: init/main.c before).
_SAID = re.compile(r"mem auto-init:.* heap alloc:(on|off)")

#: It says so at its boot, in microseconds of its own clock.
_BOOT = 60_000_000

#: Parameters that fill freed memory with a pattern, which is not cleared then.
_POISON = re.compile(r"(?:slub_debug|slab_debug|page_poison)(?!=0$|=off$|=-)")

_PARAMETER = re.compile(r"init_on_alloc=(\w+)")
_TRUE = ("1", "y", "Y", "on", "On", "ON", "t", "T")

_RECORD = 8192


@functools.cache  # it is so until the next boot
def is_cleared(root: Path = Path("/"), proc: Path = Path("/proc")) -> bool | None:
    """Say whether it does; None if that cannot be told from here.

    Args:
        root: where the folders of this machine are.
        proc: where the kernel tells about itself.
    """
    parameters = _text(proc / "cmdline").split()
    if any(map(_POISON.match, parameters)):
        return False
    for text in _boot_log(root / "dev/kmsg"):
        if found := _SAID.search(text):
            return found[1] == "on"
    asked = [found[1] for found in map(_PARAMETER.fullmatch, parameters) if found]
    if asked:
        return asked[-1] in _TRUE
    return _by_configuration(root, proc)


def _by_configuration(root: Path, proc: Path) -> bool | None:
    release = _text(proc / "sys/kernel/osrelease").strip()
    for place in (
        proc / "config.gz",
        root / f"boot/config-{release}",
        root / f"lib/modules/{release}/config",
    ):
        if options := _text(place).splitlines():
            poisons = "CONFIG_SLUB_DEBUG_ON=y" in options
            return "CONFIG_INIT_ON_ALLOC_DEFAULT_ON=y" in options and not poisons
    return None


def _boot_log(device: Path) -> Iterator[str]:
    """Give what the kernel itself said in its first minute, as far as it is kept.

    Each read gives one message (Documentation/ABI/testing/dev-kmsg): its facility and
    level, its number, its time, flags; and its text.
    """
    with contextlib.suppress(OSError), open(device, "rb", buffering=0) as log:
        os.set_blocking(log.fileno(), False)
        while message := _next(log.fileno()):
            head, _, text = message.decode(errors="replace").partition(";")
            facility, _, time, *_ = head.split(",")
            if int(time) > _BOOT:
                return
            if int(facility) >> 3 == 0:  # nobody but the kernel can write as that
                yield text


def _next(log: int) -> bytes:
    while True:
        try:
            return os.read(log, _RECORD)
        except OSError as error:
            # The oldest one was overwritten meanwhile.
            if error.errno != errno.EPIPE:
                raise


def _text(path: Path) -> str:
    try:
        packed = path.read_bytes()
        if path.suffix == ".gz":
            packed = gzip.decompress(packed)
    except (OSError, EOFError):
        return ""
    return packed.decode(errors="replace")
