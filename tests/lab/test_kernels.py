# SPDX-License-Identifier: Apache-2.0
"""The kernels that the lab can boot on this machine, and the way back to its own."""

import contextlib
import ctypes
import dataclasses
import json
import os
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.kernel import choice, store, trial
from lab.kernel.image import Image, installed
from lab.network import networks
from lab.single import SingleNode
from lab.workdir import PROJECT, WorkFolder
from tests.lab.conftest import folder
from tests.lab.stories import OURS, told

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _FILTER = 38, 22, 2  # linux/prctl.h
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050001  # linux/seccomp.h: with EPERM
_SECCOMP = {"x86_64": 317, "aarch64": 277}[os.uname().machine]

#: What the kernel tells of its block backstores.
_INFO = "/sys/kernel/config/target/core/iblock_*/*/info"


def _images() -> list[Image]:
    kept = [image for kind in ("ready", "own") if (image := store.newest(kind))]
    return [*kept, installed()]


@pytest.fixture(params=choice.KINDS)
def image(request: pytest.FixtureRequest, _requirements: None) -> Image:
    """Each kernel that this machine has, and can boot; the chosen one must be."""
    for image in _images():
        if image.kind == request.param:
            try:
                trial.boot(image)
            except (LabError, OSError) as error:
                if image == choice.chosen():
                    raise
                pytest.skip(f"{image.binary}: {error}")
            return image
    pytest.skip(f"this machine's cache has no kernel of the kind {request.param}")


@pytest.fixture
def single(image: Image) -> Iterator[SingleNode]:
    """A node of its own that boots this kernel."""
    with _up(image) as single:
        yield single


@contextlib.contextmanager
def _up(image: Image) -> Iterator[SingleNode]:
    single = SingleNode(WorkFolder(folder("kernels")), image)
    single.up()
    try:
        yield single
    finally:
        single.down()


@pytest.mark.in_turn(2, of="kernels")
def test_kernel_boots_the_lab_and_comes_back_after_a_power_cut(
    single: SingleNode, image: Image
) -> None:
    release = single.node.run("uname --kernel-release").strip()
    assert release == trial.boot(image)
    for module in ("target_core_mod", "iscsi_tcp", "dm_thin_pool"):
        single.node.run(f"modprobe {module}")
    single.node.run("mkdir --parents /sys/kernel/config/target/iscsi")
    single.node.kernel.cut_power()
    single.boot()
    assert single.node.run("uname --kernel-release").strip() == release


@pytest.mark.in_turn(2, of="kernels")
def test_link_goes_down_and_comes_up_again(single: SingleNode) -> None:
    single.node.call("tests.lab.guest.partition", "cut_off", 3)
    for state in ("DOWN", "UP"):
        deadline = time.monotonic() + 60
        while _link(single) != state:
            assert time.monotonic() < deadline, f"the link is not {state}"
            time.sleep(0.1)
    single.node.wait_until_up()


def _link(single: SingleNode) -> str:
    """Give the state of the node's port of the management network."""
    port = networks()[0].port(single.node.plan)
    done = subprocess.run(
        single.sandbox.wrap(["ip", "-json", "link", "show", port]),
        capture_output=True,
        text=True,
        check=True,
    )
    return str(json.loads(done.stdout)[0]["operstate"])


@pytest.mark.in_turn(2, of="kernels")
@pytest.mark.parametrize("clears_memory", [True, False])
def test_readers_get_a_disk_of_their_own_only_where_the_kernel_bears_it(
    image: Image, clears_memory: bool
) -> None:
    parameters = (*image.arguments, f"init_on_alloc={int(clears_memory)}")
    image = dataclasses.replace(image, arguments=parameters)
    with _up(image) as single, told(single, OURS) as story:
        story.attach("a")
        disk = story.attach("b", mode="ro")
        shares = single.node.run(f"grep --no-filename 'exclusive: ' {_INFO} || true")
        expected = int(clears_memory or bool(shares))
        assert story.information("b")["target_lun"] == expected
        # What reads found in memory that was not cleared took the node along.
        single.node.run(f"dd if={disk} of=/dev/null bs=4k count=5000 iflag=direct")


def _forbid_seccomp() -> None:
    """Let this process and its children install no seccomp filter any more."""
    code = [
        (0x20, 0, 0, 0),  # load the system call's number
        (0x15, 0, 1, _SECCOMP),  # unless it is seccomp(2), skip one
        (0x06, 0, 0, _REFUSE),
        (0x06, 0, 0, _ALLOW),
    ]
    packed = b"".join(struct.pack("HBBI", *line) for line in code)
    memory = ctypes.create_string_buffer(packed)
    program = struct.pack("HxxxxxxP", len(code), ctypes.addressof(memory))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    if prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or prctl(
        _PR_SET_SECCOMP, _FILTER, program, 0, 0
    ):
        raise OSError(ctypes.get_errno(), "no filter could be installed")


def test_host_that_forbids_seccomp_boots_its_own_kernel(tmp_path: Path) -> None:
    ready = store.newest("ready")
    if ready is None:
        pytest.skip("this machine's cache has no ready kernel")
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / ready.binary.parent.name).symlink_to(ready.binary.parent)
    environment = {**os.environ, "TAIKUN_LAB_CACHE": str(cache)}
    environment.pop(choice.VARIABLE, None)
    prepared = subprocess.run(
        [sys.executable, "-m", "lab.kernel", "prepare"],
        cwd=PROJECT,
        env=environment,
        preexec_fn=_forbid_seccomp,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "user-mode-linux as installed), by ptrace, half as fast" in prepared.stdout
    assert "half as fast as the ready one: it does not boot here" in prepared.stdout


def test_kernel_whose_modules_do_not_fit_is_refused(
    tmp_path: Path, image: Image
) -> None:
    if image.kind == "own":
        pytest.skip("what the trial loads is built into this one")
    broken = Image(image.kind, image.binary, tmp_path, "", image.arguments)
    with pytest.raises(LabError, match="does not boot here"):
        trial.boot(broken)
