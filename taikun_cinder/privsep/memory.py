# SPDX-License-Identifier: Apache-2.0
"""Tells whether the kernel clears the memory that it allocates (``init_on_alloc``).

Where it does not, what a part of the kernel forgets to set is left over from others.
The kernel says so in its log, too, but only until other messages push that out. So it
is told here by what stays: the kernel's parameters, and its configuration.
"""

import gzip
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

_OPTION = "CONFIG_INIT_ON_ALLOC_DEFAULT_ON"

#: The first Linux that knows the parameter, if its configuration does not tell.
_KNOWN = (5, 3)

#: With these parameters, or this option, the kernel fills freed memory with a pattern,
#: and does not clear it (slab_want_init_on_alloc() in mm/slab.h).
_POISON_SLABS = ("slub_debug", "slab_debug")
_POISON_PAGES = "page_poison"
_POISON_OPTION = "CONFIG_SLUB_DEBUG_ON=y"

#: By how a value begins, what the kernel takes it for (kstrtobool() in lib/kstrtox.c).
#: It ignores the parameter with any other one; newer ones know ``t``, too.
_MEANINGS = (("1|[yY]|[oO][nN]", True), ("0|[nN]|[oO][fF]|[fF]", False))


def is_cleared(root: Path = Path("/"), proc: Path = Path("/proc")) -> bool | None:
    """Say whether it does; None if that cannot be told from here.

    Args:
        root: where the folders of this machine are.
        proc: where the kernel tells about itself.
    """
    release = _text(proc / "sys/kernel/osrelease").strip()
    options = _configuration(root, proc, release)
    asked: bool | None = None
    slabs_poisoned, pages_poisoned = _POISON_OPTION in options, False
    for name, value in _parameters(_text(proc / "cmdline")):
        if name in _POISON_SLABS:
            slabs_poisoned = not value.startswith("-")
        elif name == _POISON_PAGES:
            pages_poisoned = _meaning(value) is not False
        elif name == "init_on_alloc" and (meaning := _meaning(value)) is not None:
            asked = meaning
    if slabs_poisoned or pages_poisoned:
        return False
    if asked is not None and _knows(release, options):
        return asked
    return f"{_OPTION}=y" in options if options else None


def _parameters(line: str) -> Iterator[tuple[str, str]]:
    """Give the kernel's parameters as it reads them, each with its value."""
    for word in re.findall(r'(?:[^\s"]|"[^"]*")+', line):
        plain = word.replace('"', "")
        if plain == "--":  # what follows is for the first process
            return
        name, _, value = plain.partition("=")
        yield name.replace("-", "_"), value


def _meaning(value: str) -> bool | None:
    return next((said for how, said in _MEANINGS if re.match(how, value)), None)


def _knows(release: str, options: list[str]) -> bool:
    if options:
        return any(_OPTION in line for line in options)
    found = re.match(r"(\d+)\.(\d+)", release)
    return found is not None and tuple(map(int, found.groups())) >= _KNOWN


def _configuration(root: Path, proc: Path, release: str) -> list[str]:
    places = (
        proc / "config.gz",
        root / f"boot/config-{release}",
        root / f"lib/modules/{release}/config",
    )
    return next(filter(None, (_text(place).splitlines() for place in places)), [])


def _text(path: Path) -> str:
    try:
        packed = path.read_bytes()
        if path.suffix == ".gz":
            packed = gzip.decompress(packed)
    except (OSError, EOFError, zlib.error):
        return ""
    return packed.decode(errors="replace")
