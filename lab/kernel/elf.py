# SPDX-License-Identifier: Apache-2.0
"""Lets a program that was linked with a newer C library start on this one."""

import platform
import re
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection

_WEAK = 0x2  # VER_FLG_WEAK, <elf.h>
_FLAGS = 4  # where vna_flags is in Elfxx_Vernaux, in bytes, <elf.h>


def forgive_newer_libc(program: Path) -> list[str]:
    """Make a program's need for versions that our C library does not have weak.

    The dynamic linker refuses a program whose C library lacks a version that it needs,
    whatever it needs of that version, unless the need is weak. Then each function is
    looked for as usual; ``libc.c`` has those that ours lacks. One that nobody has ends
    the program at its start, when LD_BIND_NOW is set.

    Args:
        program: an ELF file, changed in place.

    Returns:
        the versions, like ``GLIBC_2.38``.
    """
    ours = _numbers(platform.libc_ver()[1])
    newer = {}
    with program.open("rb") as file:
        for section in ELFFile(file).iter_sections():
            if isinstance(section, GNUVerNeedSection):
                newer.update(_flags_of_newer(section, ours))
    with program.open("r+b") as file:
        for offset, (_version, flags) in newer.items():
            file.seek(offset)
            file.write((flags | _WEAK).to_bytes(2, "little"))
    return [version for version, _flags in newer.values()]


def _flags_of_newer(
    section: GNUVerNeedSection, ours: tuple[int, ...]
) -> dict[int, tuple[str, int]]:
    """Give where in the file the flags of each newer version are, and what they are."""
    found = {}
    library = section["sh_offset"]
    for need, versions in section.iter_versions():
        place = library + need["vn_aux"]
        for version in versions:
            if need.name == "libc.so.6" and _numbers(version.name) > ours:
                found[place + _FLAGS] = (version.name, version["vna_flags"])
            place += version["vna_next"]
        library += need["vn_next"]
    return found


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)))
