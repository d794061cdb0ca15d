# SPDX-License-Identifier: Apache-2.0
"""The agent: lets the host call Python and run commands inside the node.

Each connection is served by a process of its own, forked from one that has the heavy
modules loaded already, so that neither a call nor a fresh cinder-volume pays for
imports, which are slow in User-Mode Linux. Only the lab's own network reaches it.
"""

import gc
import importlib
import os
import pickle
import signal
import subprocess
from typing import Any

from rpyc.core.service import SlaveService
from rpyc.utils.server import ForkingServer

from lab.plan import AGENT_PORT, SHELL_PORT, NodePlan


class _Agent(SlaveService):
    """A connection: what it started ends when the connection ends."""

    def on_connect(self, conn: Any) -> None:
        os.setsid()
        super().on_connect(conn)

    def on_disconnect(self, conn: Any) -> None:
        super().on_disconnect(conn)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.killpg(0, signal.SIGTERM)


def dispatch(module: str, function: str, given: bytes, *references: Any) -> bytes:
    """Call a function; arguments and result are copied, not referred to.

    Args:
        module: where the function is.
        function: its name.
        given: its positional and named arguments, pickled.
        references: further positional arguments that stay the caller's, as callbacks.
    """
    args, named = pickle.loads(given)  # noqa: S301 - from the lab itself
    called = getattr(importlib.import_module(module), function)
    return pickle.dumps(called(*args, *references, **named))


def _serve_shells() -> None:
    shell = "EXEC:bash -l,pty,setsid,ctty,stderr,sane,sigint"
    listen = f"TCP-LISTEN:{SHELL_PORT},reuseaddr,fork"
    subprocess.Popen(["socat", listen, shell], start_new_session=True)


def serve(plan: NodePlan) -> None:
    """Serve until the process is told to end."""
    for module in plan.preload:
        importlib.import_module(module)
    _serve_shells()
    # What a collection looks at a process forked from this one would have to copy, at
    # a fault of User-Mode Linux for each page.
    gc.collect()
    gc.freeze()
    print("lab-boot: serving", flush=True)
    ForkingServer(_Agent, hostname="::", ipv6=True, port=AGENT_PORT).start()
