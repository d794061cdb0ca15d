# SPDX-License-Identifier: Apache-2.0
"""A daemon of the control plane: start it, wait until it serves, stop it again."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lab.errors import LabError, LogError
from lab.plan import CONTROL
from lab.processes import stat
from lab.sandbox import Sandbox
from lab.workdir import PROJECT, WorkFolder

#: Where the commands of this Python environment are (cinder-manage and the like). Not
#: resolved: a virtual environment's python is a link out of it.
BIN = Path(sys.executable).parent


def environment(work: WorkFolder, **more: str) -> dict[str, str]:
    """Give the environment of a daemon: nothing of the caller's own leaks in."""
    return {
        "PATH": f"{BIN}:/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG": "C.UTF-8",
        "HOME": work.inside("tmp"),
        "TMPDIR": work.inside("tmp"),
        "PYTHONPATH": str(PROJECT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        **more,
    }


def answers(port: int) -> Callable[[], bool]:
    """Give a check that something listens at this port of the control plane."""

    def check() -> bool:
        socket.create_connection((CONTROL, port), timeout=2).close()
        return True

    return check


class Daemon:
    """One daemon in the lab's namespaces.

    Any process can make this object to control a daemon that another one started:
    which processes belong to it is kept in the work folder.

    Args:
        sandbox: the lab's namespaces.
        work: the lab's folder.
        name: of the daemon and of its log.
        argv: the command; it must stay in the foreground.
        ready: says whether the daemon serves; an OSError means that it does not yet.
            It runs in the thread that waits, which must have joined the lab's network.
        env: the daemon's whole environment; by default :func:`environment`.
        timeout: the longest that it may take to be ready, in seconds.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        work: WorkFolder,
        name: str,
        argv: Sequence[str],
        ready: Callable[[], bool],
        *,
        env: Mapping[str, str] | None = None,
        timeout: float = 120,
    ) -> None:
        self.name = name
        self.argv = list(argv)
        self.env = dict(env or environment(work))
        self.log = work.log(name)
        self._sandbox = sandbox
        self._ready = ready
        self._timeout = timeout
        self._record = work.path / "daemons" / name
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the daemon and wait until it is ready.

        Raises:
            LabError: it runs already.
            LogError: it ended at once, or was not ready in time; its log tells why.
        """
        if self.alive():
            raise LabError(f"{self.name} runs already; restart it instead")
        self._wait_until_silent()
        self._process = self._sandbox.spawn(self.argv, env=self.env, log=self.log)
        self._record.parent.mkdir(exist_ok=True)
        self._record.write_text(str(self._process.pid))
        self._wait_until_ready(self._process)

    def stop(self, timeout: float = 30) -> None:
        """Ask the daemon to end; after ``timeout`` seconds, or when 0, it is killed."""
        if timeout:
            self._signal(signal.SIGTERM, self._main())
            if self._wait_until_gone(timeout):
                return
        self._signal(signal.SIGKILL, list(self._members()))
        if not self._wait_until_gone(10):
            raise LogError(f"{self.name} does not end, even when killed", self.log)

    def restart(self) -> None:
        """Stop the daemon if it runs, start it and wait until it is ready."""
        self.stop()
        self.start()

    def alive(self) -> bool:
        """Say whether any process of the daemon runs."""
        return bool(self._members())

    def _wait_until_silent(self) -> None:
        """Wait until no trace of an earlier start could be taken for readiness.

        RabbitMQ, for one, notices only after a moment that a killed consumer is gone.
        """
        deadline = time.monotonic() + 20
        while self._serves():
            if time.monotonic() > deadline:
                raise LogError(f"something answers in place of {self.name}", self.log)
            time.sleep(0.05)

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + self._timeout
        while not self._serves():
            if (status := process.poll()) is not None:
                what = f"{self.name} ended with status {status} instead of serving"
                raise LogError(what, self.log)
            if time.monotonic() > deadline:
                what = f"{self.name} did not serve within {self._timeout:.0f} s"
                raise LogError(what, self.log)
            time.sleep(0.1)

    def _serves(self) -> bool:
        try:
            return self._ready()
        except OSError:
            return False

    def _wait_until_gone(self, timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        while self.alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        if self._process is not None:
            self._process.wait(timeout=10)
        return True

    def _members(self) -> dict[int, int]:
        """Give the daemon's processes, each with its parent.

        They are those of its session that are in the lab's PID namespace, and those
        that come from them: Nova's services begin sessions of their own. A foreign
        process that got an old number again is never taken for one of ours. The
        session's own number is nsenter's, which waits outside. A zombie counts: while
        threads of it are still ending, its sockets are open.
        """
        try:
            session = int(self._record.read_text())
            lab = _namespace(Path(f"/proc/{self._sandbox.pid}"))
        except (FileNotFoundError, ValueError):  # the second: it is being written
            return {}
        parents: dict[int, int] = {}
        found: set[int] = set()
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # it ended, or is none of ours
                _state, parent, _group, itself, *_ = stat(entry)
                parents[int(entry.name)] = int(parent)
                if int(itself) == session and _namespace(entry) == lab:
                    found.add(int(entry.name))
        while more := {p for p in parents if parents[p] in found} - found:
            found |= more
        return {process: parents[process] for process in found}

    def _main(self) -> list[int]:
        """Give the daemon's first process: the one that knows how to end the others."""
        members = self._members()
        return [pid for pid, parent in members.items() if parent not in members]

    @staticmethod
    def _signal(number: signal.Signals, processes: list[int]) -> None:
        for process in processes:
            try:
                os.kill(process, number)
            except ProcessLookupError:
                continue


def _namespace(process: Path) -> int:
    """Give the number of the PID namespace of a process, by its folder in /proc."""
    return (process / "ns/pid").stat().st_ino
