# SPDX-License-Identifier: Apache-2.0
"""Nothing of a lab stays behind, however its command ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.workdir import PROJECT
from tests.lab.conftest import folder


def _namespace(pid: str) -> str | None:
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        return None


def _processes() -> list[str]:
    return [entry.name for entry in Path("/proc").glob("[0-9]*")]


def _anchor(work: Path) -> str | None:
    """Give the number of the lab's first process, None while there is none."""
    for pid in _processes():
        try:
            command = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        except OSError:
            continue
        if (
            "lab.anchor" in command
            and str(work) in command
            and "unshare" not in command
        ):
            return pid
    return None


@pytest.fixture
def work() -> Path:
    """The folder of the lab that is aborted."""
    return folder("abort")


@pytest.fixture
def coming_up(
    work: Path, _requirements: None
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A ``lab up`` whose kernels boot right now, and the lab's PID namespace."""
    with subprocess.Popen(
        [sys.executable, "-m", "lab", "up"],
        cwd=PROJECT,
        env={**os.environ, "TAIKUN_LAB_DIR": str(work)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as command:
        assert command.stdout is not None
        for line in command.stdout:
            if "booting the kernels" in line:
                break
        else:
            pytest.fail("the lab did not get to boot its kernels")
        time.sleep(2)
        anchor = _anchor(work)
        assert anchor is not None
        namespace = _namespace(anchor)
        assert namespace is not None
        yield command, namespace
        command.kill()


def _nothing_is_left(work: Path, namespace: str) -> bool:
    processes = [pid for pid in _processes() if _namespace(pid) == namespace]
    # nsenter's parent halves wait in our own namespace for what they started inside.
    helpers = [
        pid
        for pid in _processes()
        if str(work) in (_text(f"/proc/{pid}/cmdline") + _text(f"/proc/{pid}/environ"))
        and pid != str(os.getpid())
    ]
    mounts = [line for line in _text("/proc/mounts").splitlines() if str(work) in line]
    return not (processes or helpers or mounts)


def _text(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""


@pytest.mark.parametrize(
    "end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda s: s.name
)
def test_an_aborted_up_leaves_nothing_behind(
    work: Path, coming_up: tuple[subprocess.Popen[str], str], end: signal.Signals
) -> None:
    command, namespace = coming_up
    assert not _nothing_is_left(work, namespace), (
        "the check sees no lab: it cannot fail"
    )
    command.send_signal(end)
    command.wait(timeout=120)
    assert command.returncode != 0
    deadline = time.monotonic() + 90
    while not _nothing_is_left(work, namespace):
        assert time.monotonic() < deadline, f"left after {end.name}: see /proc"
        time.sleep(0.1)
