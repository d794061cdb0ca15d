# SPDX-License-Identifier: Apache-2.0
"""One User-Mode Linux kernel: boot it, watch its console, cut its power."""

import contextlib
import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from lab.errors import LabError, LogError, LostNodeError
from lab.kernel.image import Image
from lab.kernel.shim import build, environment
from lab.network import networks
from lab.plan import NODES, NodePlan
from lab.processes import birth, parent
from lab.sandbox import Sandbox
from lab.workdir import PROJECT, WorkFolder

_INIT = PROJECT / "lab" / "guest" / "init.sh"

#: What a kernel prints when one of its threads did what it must never do.
TROUBLE = re.compile(
    r"Kernel panic|Oops|BUG:|WARNING: CPU|general protection|Call Trace"
    r"|blocked for more than|self-detected stall|refcount_t:"
)


#: The disk for what the node's services have to remember, in MiB.
_STATE_DISK = 64


def processor(plan: NodePlan) -> int:
    """Give the processor of this machine that a node's kernel may run on.

    A kernel and its processes run in turn, never at once, and each turn is a wake-up.
    Across two processors, one of which has fallen asleep, it takes twice as long as on
    one: so a whole lab takes half the time when each kernel keeps to one processor.

    The nodes of a lab take turns, from ``$TAIKUN_LAB_PROCESSOR`` on (0 without it), so
    that labs that run at once can be kept apart.
    """
    ours = sorted(os.sched_getaffinity(0))
    first = int(os.environ.get("TAIKUN_LAB_PROCESSOR") or 0)
    # By name: a cluster may have given the node more memory.
    turn = [node.name for node in NODES].index(plan.name)
    return ours[(first + turn) % len(ours)]


class Kernel:
    """The kernel of one node.

    Its process's number is kept in a file, so that a later command can end it.
    """

    def __init__(self, sandbox: Sandbox, work: WorkFolder, plan: NodePlan) -> None:
        self._sandbox = sandbox
        self._work = work
        self._plan = plan
        self.console = work.log(plan.name)
        self._note = work.path / "nodes" / plan.name / "kernel.pid"

    def boot(self, image: Image) -> None:
        """Start the kernel; it boots in the background."""
        folder = self._work.path / "nodes" / self._plan.name
        folder.mkdir(exist_ok=True)
        self._plan.save(folder)
        keep_to = ["taskset", "--cpu-list", str(processor(self._plan))]
        process = self._sandbox.spawn(
            [*keep_to, *self._command(image)],
            env=environment(
                self._work.inside("tmp"),
                self._work.inside(build(self._work.path).name),
            ),
            log=self.console,
        )
        pid = self._sandbox.child(process)
        self._note.write_text(f"{pid} {birth(pid)}")

    def _command(self, image: Image) -> list[str]:
        plan = self._plan
        command = image.command(
            plan.name, plan.memory, _INIT, self._work.inside("nodes", plan.name)
        )
        command += [
            f"lab_node={plan.name}",
            f"lab_python={sys.executable}",
            f"lab_project={PROJECT}",
        ]
        # Segments of TCP come whole, as from a network card that can, so with gro=1. Of
        # the kernel's transports this one is the fastest; it has a fault on kernels for
        # several processors (vector_reset_stats locks queues that it does not have).
        command += [
            f"vec{n}:transport=tap,ifname={network.port(plan)},gro=1"
            f",mac={plan.mac_address(n)}"
            for n, network in enumerate(networks())
        ]
        if plan.disk:
            disks = {"volumes": plan.disk * 1024, "second": plan.disk * 1024}
            disks["state"] = _STATE_DISK
            command += [
                f"ubd{number}={self._disk(name, size)}"
                for number, (name, size) in enumerate(disks.items())
            ]
        if plan.shared_disk:
            # Written through, and not locked: another kernel has it, too.
            disk = self._disk("disk", plan.shared_disk * 1024, "shared")
            command.append(f"ubd3sc={disk}")
        return command

    def _disk(self, name: str, size: int, owner: str = "") -> str:
        # In the lab's own memory, and kept over a power failure of the node.
        owner = owner or self._plan.name
        path = f"/dev/shm/{owner}.{name}"  # noqa: S108 - mounted by the anchor
        self._sandbox.run(
            ["truncate", f"--size={size}M", path],
            env={"PATH": "/usr/bin"},
            log=self.console,
            timeout=10,
        )
        return path

    def wait_for(self, words: str, step: str, timeout: float, since: int = 0) -> None:
        """Wait until the console says ``words``.

        Args:
            words: what to wait for.
            step: what the node is doing meanwhile, for the error.
            timeout: in seconds.
            since: the size of the console's log to start from, in characters.

        Raises:
            LostNodeError: the kernel ended before.
            LogError: it did not say so in time.
        """
        deadline = time.monotonic() + timeout
        while words not in self.said(since):
            if not self.alive():
                raise LostNodeError(self._plan.name, step, self.console)
            if time.monotonic() > deadline:
                raise LogError(
                    f"node {self._plan.name} did not {step} in {timeout:.0f} s",
                    self.console,
                )
            time.sleep(0.1)

    def said(self, since: int = 0) -> str:
        """Give what the console printed, from character ``since`` on."""
        try:
            return self.console.read_text(errors="replace")[since:]
        except FileNotFoundError:
            return ""

    def trouble(self, since: int = 0) -> list[str]:
        """Give the lines in which the kernel reports a fault of its own."""
        return [line for line in self.said(since).splitlines() if TROUBLE.search(line)]

    def alive(self) -> bool:
        """Say whether the kernel runs."""
        return self._pid() is not None

    def _pid(self) -> int | None:
        try:
            pid, born = self._note.read_text().split()
        except FileNotFoundError:
            return None
        return int(pid) if birth(int(pid)) == born else None

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Let the kernel stand still in the block, as a machine that hangs does.

        Its power may be cut meanwhile.
        """
        pid = self._pid()
        if pid is None:
            raise LabError(f"the kernel of {self._plan.name} does not run")
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            # nsenter, its parent, stops itself when it does, and wakes it up.
            with contextlib.suppress(ProcessLookupError, FileNotFoundError):
                for stopped in (pid, parent(Path(f"/proc/{pid}"))):
                    os.kill(stopped, signal.SIGCONT)

    def cut_power(self) -> None:
        """End the kernel at once, as a power failure does; wait until it is gone."""
        pid = self._pid()
        if pid is None:
            return
        # The kernel leads the group of the host processes in which its own ones run.
        os.killpg(pid, signal.SIGKILL)
        while self.alive():
            time.sleep(0.02)
