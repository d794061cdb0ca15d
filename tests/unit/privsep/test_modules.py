# SPDX-License-Identifier: Apache-2.0
"""The modules are loaded by modprobe, and what it says is told."""

import errno

import pytest

from taikun_cinder.privsep import commands, modules
from taikun_cinder.privsep.refusal import KernelRefused


@pytest.fixture
def modprobe(tmp_path, monkeypatch):
    """Return a function that puts a script in modprobe's place."""
    monkeypatch.setattr(commands, "PATH", f"{tmp_path}:/usr/bin:/bin")

    def write(script):
        (tmp_path / "modprobe").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "modprobe").chmod(0o755)

    return write


def test_all_modules_of_lio_are_loaded_and_nothing_of_ours_is_told(
    modprobe, tmp_path, monkeypatch
):
    monkeypatch.setenv("SECRET_OF_CINDER", "secret")
    modprobe(f'printf "%s\\n" "$@" > {tmp_path}/loaded; env > {tmp_path}/environment')
    modules.load()
    loaded = (tmp_path / "loaded").read_text().split()
    wanted = {"target_core_mod", "target_core_iblock", "iscsi_target_mod"}
    assert set(loaded) >= wanted
    assert "SECRET_OF_CINDER" not in (tmp_path / "environment").read_text()


def test_module_that_is_not_there_is_named_as_modprobe_does(modprobe):
    modprobe('echo "modprobe: FATAL: Module target_core_mod not found" >&2; exit 1')
    with pytest.raises(KernelRefused, match="target_core_mod not found") as caught:
        modules.load()
    assert caught.value.number == errno.ENOPKG


def test_node_without_modprobe_is_told_so(monkeypatch, tmp_path):
    monkeypatch.setattr(commands, "PATH", str(tmp_path))
    with pytest.raises(KernelRefused, match="run modprobe") as caught:
        modules.load()
    assert caught.value.number == errno.ENOENT


def test_modprobe_that_hangs_is_not_waited_for(modprobe, monkeypatch):
    monkeypatch.setattr(commands, "PATIENCE", 0.05)
    modprobe("exec sleep 60")
    with pytest.raises(KernelRefused, match="load") as caught:
        modules.load()
    assert caught.value.number == errno.ETIMEDOUT
