# SPDX-License-Identifier: Apache-2.0
"""The one-kernel node: storage and two initiators, the driver called directly."""

import contextlib
from collections.abc import Iterator

from lab.network import start_networks
from lab.node import Call, Node
from lab.plan import STORAGE_NODE
from lab.sandbox import Sandbox
from lab.workdir import WorkFolder


class SingleNode:
    """A storage node on its own; it lives as long as this process.

    Use it as a context manager.
    """

    def __init__(self, work: WorkFolder) -> None:
        self._work = work

    def __enter__(self) -> "SingleNode":
        self._work.prepare()
        self._sandbox = Sandbox.create(self._work)
        try:
            self._networks = start_networks(self._sandbox, self._work)
            self._sandbox.join_network()
            self.node = Node(self._sandbox, self._work, STORAGE_NODE)
            self.boot()
        except BaseException:
            self._sandbox.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._sandbox.close()

    def boot(self) -> None:
        """Boot the node, the first time or after its power was cut."""
        self.node.boot(self._networks)
        self.node.wait_until_up()

    @contextlib.contextmanager
    def backend(self, *arguments: object) -> Iterator[Call]:
        """Give a process with a started back end; its end is a crash of the driver.

        ``arguments`` go to ``lab.guest.volume.start``.
        """
        with self.node.session() as process:
            process("lab.guest.volume", "start", *arguments)
            yield process
