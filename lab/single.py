# SPDX-License-Identifier: Apache-2.0
"""The one-kernel node: storage and two initiators, the driver called directly."""

import contextlib
import dataclasses
from collections.abc import Iterator

from lab.kernel.image import Image
from lab.network import coming_up
from lab.node import Call, Node
from lab.plan import STORAGE_NODE
from lab.workdir import WorkFolder


class SingleNode:
    """A storage node on its own; it lives as long as this process, or until down.

    Args:
        work: a folder for it.
        image: its kernel; by default the one that was chosen for all nodes.
        patched: see ``NodePlan``.

    Attributes:
        node: the node.
        sandbox: its namespaces; a thread that calls into the node joins the network.
    """

    def __init__(
        self, work: WorkFolder, image: Image | None = None, *, patched: bool = False
    ) -> None:
        self._work = work
        self._image = image
        self._plan = dataclasses.replace(STORAGE_NODE, patched=patched)

    @property
    def patched(self) -> bool:
        """Whether eventlet patches what is called in it, see ``NodePlan``."""
        return self._plan.patched

    def up(self) -> None:
        """Bring it up.

        Raises:
            LabError: a step failed; nothing of it is left.
        """
        with coming_up(self._work) as self.sandbox:
            self.node = Node(self.sandbox, self._work, self._plan)
            self.boot()

    def down(self) -> None:
        """End it."""
        self.sandbox.close()

    def keep(self) -> None:
        """Let the node live on when this process ends, to be looked at by hand."""
        self._work.save({"pid": self.sandbox.pid, "born": self.sandbox.born})
        self.sandbox.detach()

    def boot(self) -> None:
        """Boot the node, the first time or after its power was cut."""
        self.node.boot(self._image)
        self.node.wait_until_up()

    def mend(self) -> None:
        """Boot the node anew if it was lost."""
        if not self.node.answers():
            self.node.boot_anew(self._image)

    @contextlib.contextmanager
    def backend(self, *arguments: object) -> Iterator[Call]:
        """Give a process with a started back end; its end is a crash of the driver.

        ``arguments`` go to ``lab.guest.volume.start``.
        """
        with self.node.session() as process:
            process("lab.guest.volume", "start", *arguments)
            yield process
