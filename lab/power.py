# SPDX-License-Identifier: Apache-2.0
"""The lab's power switch: nodes ask it to cut another's power, or to give it back.

It listens on the control plane's address of the management network. A request is a
line of an action and a node's name, and the answer is a line.
"""

import socketserver
import threading
from collections.abc import Sequence

from lab.node import Node
from lab.plan import CONTROL, POWER_PORT


class PowerSwitch:
    """A switch with a plug for each node.

    The thread that makes it has joined the lab's network.

    Args:
        nodes: what has its power from it.

    Attributes:
        port: that it listens on.
        asked: each request so far that changed something: an action and a node's name.
    """

    def __init__(self, nodes: Sequence[Node]) -> None:
        self._nodes = {node.name: node for node in nodes}
        self._lock = threading.Lock()
        self.asked: list[tuple[str, str]] = []
        switch = self

        class Handler(socketserver.StreamRequestHandler):
            timeout = 10

            def handle(self) -> None:
                words = self.rfile.readline(200).decode().split()
                self.wfile.write(f"{switch.answer(*words)}\n".encode())

        self._server = socketserver.ThreadingTCPServer((CONTROL, POWER_PORT), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def answer(self, action: str = "", name: str = "") -> str:
        """Do as one asks; give the state of the power, or what is wrong."""
        if action == "list":
            return " ".join(self._nodes)
        node = self._nodes.get(name)
        if node is None or action not in ("on", "off", "status"):
            return f"there is no {action} of {name}"
        with self._lock:
            if action != "status":
                self.asked.append((action, name))
            if action == "off":
                node.kernel.cut_power()  # which waits until the kernel is gone
            elif action == "on" and not node.kernel.alive():
                node.boot()
            return "on" if node.kernel.alive() else "off"

    def close(self) -> None:
        """End it; the nodes keep their power."""
        self._server.shutdown()
        self._server.server_close()
