# SPDX-License-Identifier: Apache-2.0
"""The modules of the running kernel, as the node's files tell them."""

import shutil
from pathlib import Path

import pytest

from taikun_cinder.node import missing_modules
from taikun_cinder.targets.lio.readiness import MODULES


def _told(node):
    problems = missing_modules(node, MODULES)
    return " ".join(f"{problem.fault}. {problem.cure}" for problem in problems)


@pytest.mark.parametrize(
    ("index", "line"),
    [
        ("modules.dep", "kernel/drivers/target/{}.ko: kernel/fs/configfs.ko"),
        ("modules.dep", "kernel/drivers/target/{}.ko.zst:"),
        ("modules.builtin", "kernel/drivers/target/{}.ko"),
    ],
)
def test_module_that_can_be_loaded_or_is_built_in_is_accepted(node, index, line):
    shutil.rmtree(node.sys / "module")
    folder = node.modules / node.release
    folder.mkdir(parents=True)
    lines = [line.format(module) for module in MODULES]
    (folder / index).write_text("\n".join(lines))
    assert missing_modules(node, MODULES) == []


def test_module_of_another_kernel_does_not_count(node):
    shutil.rmtree(node.sys / "module")
    folder = node.modules / "5.10.0-old"
    folder.mkdir(parents=True)
    (folder / "modules.dep").write_text("kernel/target_core_mod.ko:\n")
    assert "6.12.1-lab has no module target_core_mod" in _told(node)


def test_module_that_others_need_does_not_count_as_there(node):
    shutil.rmtree(node.sys / "module")
    folder = node.modules / node.release
    folder.mkdir(parents=True)
    (folder / "modules.dep").write_text("kernel/x.ko: kernel/target_core_mod.ko\n")
    assert "has no module target_core_mod" in _told(node)


@pytest.mark.parametrize("path", [b"/mnt/caf\xe9", "/mnt/my\u00a0disk\u2028x".encode()])
def test_no_name_of_a_mount_hides_the_others(node, path):
    mounts = node.proc / "mounts"
    mounts.write_bytes(b"/dev/sdc1 " + path + b" vfat ro 0 0\n" + mounts.read_bytes())
    there = node.file_system(Path("/sys/kernel/config/target"))
    assert (there.kind, there.read_only) == ("configfs", False)
