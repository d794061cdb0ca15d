# SPDX-License-Identifier: Apache-2.0
"""The namespaces that hold every process, mount and address of a lab."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lab.errors import LabError, LogError
from lab.processes import birth
from lab.workdir import PROJECT, WorkFolder

_CLONE_NEWNET = 0x40000000  # linux/sched.h


class Sandbox:
    """Namespaces (processes, network, mounts, IPC, host name) of the lab's own.

    Args:
        work: the lab's folder; inside the namespaces it is seen as ``/run/lab``.
        pid: the process number of the lab's first process, see ``lab/anchor.py``.
        born: its start time, which tells it from a later process of the same number.
    """

    def __init__(self, work: WorkFolder, pid: int, born: str | None = None) -> None:
        self._work = work
        self.pid = pid
        self.born = born or birth(pid)
        self._owner: subprocess.Popen[str] | None = None

    @classmethod
    def create(cls, work: WorkFolder) -> "Sandbox":
        """Make the namespaces; they end with this process unless :meth:`detach`.

        Raises:
            LabError: this user may not make namespaces.
        """
        log = work.log("sandbox")
        unshare = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
        unshare += ["--net", "--mount", "--ipc", "--uts", "--"]
        with log.open("w") as stderr:
            owner = subprocess.Popen(
                [*unshare, sys.executable, "-m", "lab.anchor", str(work.path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                cwd=PROJECT,
                start_new_session=True,
            )
        assert owner.stdout is not None  # noqa: S101 - it is a pipe
        if owner.stdout.readline() != "ready\n":
            owner.kill()
            raise LogError("no namespaces could be made (are you root?)", log)
        children = Path(f"/proc/{owner.pid}/task/{owner.pid}/children").read_text()
        sandbox = cls(work, int(children.split()[0]))
        sandbox._owner = owner
        return sandbox

    def detach(self) -> None:
        """Let the lab live on when this process ends."""
        if self._owner is not None and self._owner.stdin is not None:
            self._owner.stdin.write("stay\n")
            self._owner.stdin.close()
            self._owner = None

    def alive(self) -> bool:
        """Say whether the lab's first process, and so the lab, still runs."""
        return birth(self.pid) == self.born

    def close(self) -> None:
        """End every process of the lab at once and wait until all are gone."""
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + 30
        while self.alive():
            if time.monotonic() > deadline:
                raise LabError(f"the lab's process {self.pid} does not end")
            time.sleep(0.02)

    def wrap(self, argv: Sequence[str]) -> list[str]:
        """Give the command that runs ``argv`` inside the namespaces."""
        enter = ["nsenter", f"--target={self.pid}", "--mount", "--net", "--pid"]
        # With the lab's own root, or a caller in a chroot would end up outside of it.
        return [*enter, "--ipc", "--uts", "--root", "--wdns=/", "--", *argv]

    def spawn(
        self, argv: Sequence[str], *, env: Mapping[str, str], log: Path, **more: Any
    ) -> subprocess.Popen[bytes]:
        """Start a daemon inside, its output to ``log``, in a session of its own."""
        with log.open("ab") as output:
            return subprocess.Popen(
                self.wrap(argv),
                env=dict(env),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **{"stdin": subprocess.DEVNULL, **more},
            )

    @staticmethod
    def child(process: subprocess.Popen[bytes], timeout: float = 10) -> int:
        """Give the number of what :meth:`spawn` started, behind nsenter."""
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        deadline = time.monotonic() + timeout
        while process.poll() is None and time.monotonic() < deadline:
            if found := children.read_text().split():
                return int(found[0])
            time.sleep(0.005)
        raise LabError(f"{process.args!r} did not start inside the lab")

    def run(
        self, argv: Sequence[str], *, env: Mapping[str, str], log: Path, timeout: float
    ) -> None:
        """Run a command inside to its end.

        Raises:
            LogError: it failed, or did not end within ``timeout`` seconds.
        """
        process = self.spawn(argv, env=env, log=log)
        try:
            status = process.wait(timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise LogError(
                f"{argv[0]} did not end within {timeout:.0f} s", log
            ) from None
        if status:
            raise LogError(f"{' '.join(argv)} ended with status {status}", log)

    def join_network(self) -> None:
        """Move the calling thread, and those it starts, to the lab's network."""
        libc = ctypes.CDLL(None, use_errno=True)
        with open(f"/proc/{self.pid}/ns/net") as namespace:
            if libc.setns(namespace.fileno(), _CLONE_NEWNET):
                raise LabError(
                    "cannot enter the lab's network: " + os.strerror(ctypes.get_errno())
                )
