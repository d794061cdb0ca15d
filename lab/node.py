# SPDX-License-Identifier: Apache-2.0
"""A node of the lab as the host sees it: boot it, call into it, run commands in it."""

import contextlib
import functools
import pickle
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import rpyc
from rpyc.core.async_ import AsyncResultTimeout

from lab.errors import CommandError, EndedError, LabError, LostNodeError
from lab.kernel.choice import chosen
from lab.kernel.image import Image
from lab.kernel.uml import Kernel
from lab.plan import AGENT_PORT, SHELL_PORT, NodePlan
from lab.sandbox import Sandbox
from lab.workdir import WorkFolder


class Call:
    """A process of its own inside the node, in which Python functions can be called.

    What it started ends with it. Get one from :meth:`Node.open`.
    """

    def __init__(self, node: "Node", connection: Any, timeout: float) -> None:
        self._node = node
        self._connection = connection
        self._timeout = timeout
        self._dispatch = rpyc.async_(connection.modules["lab.guest.agent"].dispatch)

    def __call__(self, module: str, function: str, *args: Any, **named: Any) -> Any:
        """Call ``module.function`` in the node and give a copy of its result.

        Raises:
            LostNodeError: the node went away meanwhile.
            EndedError: the process did, or it took too long.
            Exception: whatever the function raised, with the node's traceback.
        """
        return self.start(module, function, *args, **named)()

    def start(
        self, module: str, function: str, *args: Any, **named: Any
    ) -> Callable[[], Any]:
        """Begin the call and give a function that waits for its result."""
        what = f"run {module}.{function}"
        given = pickle.dumps((args, named))
        with self._lost(what):
            result = self._dispatch(module, function, given)
        return functools.partial(self._wait, result, what)

    def backend(self, method: str, *args: Any) -> Any:
        """Call a method of the back end that was started there: lab.guest.volume."""
        return self("lab.guest.volume", "call", method, *args)

    def lines(self, argv: Sequence[str], write: Callable[[str], object]) -> int:
        """Run a command, hand over each line of its output, and give its status."""
        what = f"run {argv[0]}"
        with self._lost(what):
            given = pickle.dumps(((list(argv),), {}))
            result = self._dispatch("lab.guest.command", "stream", given, write)
        return int(self._wait(result, what))

    def _wait(self, result: Any, what: str) -> Any:
        deadline = time.monotonic() + self._timeout
        with self._lost(what):
            while not result.ready:
                self._connection.serve(0.2)
                # A node without power says nothing: no packet ends the connection.
                if not self._node.kernel.alive():
                    raise EOFError
                if time.monotonic() > deadline:
                    raise EndedError(self._node.name, what, self._timeout)
        return pickle.loads(result.value)  # noqa: S301 - from our own node

    @contextlib.contextmanager
    def _lost(self, what: str) -> Iterator[None]:
        try:
            yield
        except (EOFError, ConnectionError) as lost:
            if self._node.kernel.alive():
                raise EndedError(self._node.name, what) from lost
            raise LostNodeError(
                self._node.name, what, self._node.kernel.console
            ) from lost

    def close(self) -> None:
        """End the process in the node."""
        if self._node.kernel.alive():
            self._connection.close()


class Node:
    """One node of the lab.

    Args:
        sandbox: the lab's namespaces; the calling thread must have joined its network.
        work: the lab's folder.
        plan: what the node is.
    """

    def __init__(self, sandbox: Sandbox, work: WorkFolder, plan: NodePlan) -> None:
        self.plan = plan
        self.name = plan.name
        self.kernel = Kernel(sandbox, work, plan)

    def boot(self, image: Image | None = None) -> None:
        """Start the node's kernel; :meth:`wait_until_up` waits for the rest.

        Args:
            image: the kernel; by default the one that was chosen for all nodes.
        """
        self._since = len(self.kernel.said())
        self.kernel.boot(image or chosen())

    def wait_until_up(self, timeout: float = 120) -> None:
        """Wait until the node takes commands.

        Raises:
            LabError: it does not within ``timeout`` seconds; the console tells why.
        """
        self.kernel.wait_for("lab-boot: serving", "boot", timeout, self._since)
        deadline = time.monotonic() + 20
        while not self.answers():
            if time.monotonic() > deadline:
                raise LostNodeError(self.name, "take a command", self.kernel.console)
            time.sleep(0.1)

    def answers(self) -> bool:
        """Say whether the node takes commands."""
        try:
            self.open().close()
        except LostNodeError:
            return False
        return True

    def boot_anew(self, image: Image | None = None) -> None:
        """Cut the node's power if it still has any, and :meth:`boot` it."""
        self.kernel.cut_power()
        self.boot(image)
        self.wait_until_up()

    def open(self, timeout: float = 300) -> Call:
        """Make a process in the node to call Python in.

        Args:
            timeout: the longest that one call may take, in seconds.
        """
        try:
            connection = rpyc.classic.connect(
                self.plan.management_address, AGENT_PORT, keepalive=True
            )
            return Call(self, connection, timeout)
        except (OSError, EOFError, AsyncResultTimeout) as refused:
            raise LostNodeError(
                self.name, "take a connection", self.kernel.console
            ) from refused

    @contextlib.contextmanager
    def session(self, timeout: float = 300) -> Iterator[Call]:
        """Give a :class:`Call` that ends with the block."""
        call = self.open(timeout)
        try:
            yield call
        finally:
            call.close()

    def call(self, module: str, function: str, *args: Any, **named: Any) -> Any:
        """Call ``module.function`` in a process of its own in the node, once."""
        with self.session() as call:
            return call(module, function, *args, **named)

    def stream(
        self, argv: Sequence[str], write: Callable[[str], object], timeout: float = 600
    ) -> int:
        """Run a command, hand over its output line by line, and give its status."""
        with self.session(timeout) as call:
            return call.lines(argv, write)

    def run(self, command: str, timeout: float = 120) -> str:
        """Run a shell command to its end and give its output.

        Raises:
            CommandError: it ended with another status than 0, or not in time.
        """
        with self.session(timeout + 30) as call:
            status, output = call("lab.guest.command", "run", command, timeout)
        if status:
            raise CommandError(self.name, shlex.split(command), status, output)
        return str(output)

    def power_off(self, timeout: float = 30) -> None:
        """Take the node down in an orderly way, or by force when it does not answer."""
        with contextlib.suppress(LabError):
            self.call("lab.guest.system", "power_off")
        deadline = time.monotonic() + timeout
        while self.kernel.alive() and time.monotonic() < deadline:
            time.sleep(0.05)
        self.kernel.cut_power()

    def shell(self, sandbox: Sandbox) -> int:
        """Connect the terminal to a shell on the node and give its exit status."""
        address = f"TCP:{self.plan.management_address}:{SHELL_PORT}"
        terminal = "FILE:/dev/tty,raw,echo=0"
        return subprocess.run(
            sandbox.wrap(["socat", terminal, address]), check=False
        ).returncode
