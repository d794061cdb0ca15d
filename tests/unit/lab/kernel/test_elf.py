# SPDX-License-Identifier: Apache-2.0
"""A program that was linked with a newer C library starts on an older one."""

import platform
import subprocess

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection

from lab.kernel import elf


@pytest.fixture
def program(tmp_path):
    """A program that needs several versions of the C library."""
    source = tmp_path / "program.c"
    source.write_text(
        "#define _GNU_SOURCE\n#include <stdio.h>\n#include <sys/random.h>\n"
        'int main(void) { char c; return getrandom(&c, 1, 0) != 1 || puts("ran") < 0; }'
    )
    made = tmp_path / "program"
    subprocess.run(["cc", "-o", made, source], check=True)
    return made


def _needs(program):
    """Give each version that a program needs, with whether the need is weak."""
    with program.open("rb") as file:
        return {
            version.name: bool(version["vna_flags"] & 2)
            for section in ELFFile(file).iter_sections()
            if isinstance(section, GNUVerNeedSection)
            for _need, versions in section.iter_versions()
            for version in versions
        }


def test_only_the_versions_that_the_machine_lacks_are_weak(program, monkeypatch):
    assert "GLIBC_2.25" in _needs(program)  # getrandom's
    assert not any(_needs(program).values())
    monkeypatch.setattr(platform, "libc_ver", lambda: ("glibc", "2.24"))
    newer = elf.forgive_newer_libc(program)
    weak = {version for version, is_weak in _needs(program).items() if is_weak}
    assert weak == set(newer)
    assert "GLIBC_2.25" in weak
    assert "GLIBC_2.2.5" not in weak
    ran = subprocess.run([program], capture_output=True, text=True, check=True)
    assert ran.stdout == "ran\n"


def test_program_that_the_machine_can_run_is_left_as_it_is(program):
    before = program.read_bytes()
    assert elf.forgive_newer_libc(program) == []
    assert program.read_bytes() == before
