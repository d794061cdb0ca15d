# SPDX-License-Identifier: Apache-2.0
"""Those who use a volume of a run, and try again whatever fails."""

import abc
import random
import threading
import time
from collections.abc import Callable
from typing import Any

from lab.errors import LabError
from tests.chaos.book import Book
from tests.chaos.cluster import ChaosCluster

#: What shows a mistake of ours. A fault may raise anything else anywhere, also what a
#: node's own libraries raise, and an orchestrator that is alive tries again.
_MISTAKES = (AssertionError, AttributeError, LookupError, NameError, TypeError)


def failure(deed: Callable[[], object]) -> Exception | None:
    """Do something; give what it failed by, None if it did not."""
    try:
        deed()
    except _MISTAKES:
        raise
    except Exception as error:
        return error
    return None


def until_done(deed: Callable[[], object], timeout: float) -> bool:
    """Do something until it does not fail; say whether it came to that in time.

    Args:
        deed: what is done.
        timeout: in seconds.
    """
    deadline = time.monotonic() + timeout
    while failure(deed) is not None:
        if time.monotonic() > deadline:
            return False
        threading.Event().wait(1)
    return True


def await_status(manager: Any, name: str, status: str, timeout: float) -> Any:
    """Wait until something of Cinder's has a status; give it.

    Args:
        manager: the client's, of such things.
        name: its id.
        status: the wanted one.
        timeout: in seconds.

    Raises:
        LabError: it went to an error, or did not get there in time.
    """
    deadline = time.monotonic() + timeout
    while (found := manager.get(name)).status != status:
        if found.status.startswith("error") or time.monotonic() > deadline:
            raise LabError(f"{name} is {found.status} and not {status}")
        threading.Event().wait(0.5)
    return found


def await_retype(manager: Any, volume: str, wanted: str, timeout: float) -> None:
    """Wait until a volume has another type, and nobody is at it.

    Its status alone does not tell: an attachment that ends meanwhile changes it.

    Raises:
        LabError: it has not in time.
    """
    deadline = time.monotonic() + timeout
    while True:
        found = manager.get(volume)
        busy = found.status in ("retyping", "maintenance")
        if found.volume_type == wanted and not busy:
            return
        if time.monotonic() > deadline:
            raise LabError(f"volume {volume} is {found.status}, and not {wanted}")
        threading.Event().wait(0.5)


class Person(abc.ABC):
    """Somebody who uses a volume.

    Args:
        cluster: where.
        book: of the run.
        volume: the volume's id.
        blocks: how many of its sectors are written to.
        seed: of what is done.

    Attributes:
        done: what was done, with how often.
    """

    def __init__(
        self, cluster: ChaosCluster, book: Book, volume: str, blocks: int, seed: str
    ) -> None:
        self._cluster, self._book = cluster, book
        self._volume, self._blocks = volume, blocks
        self._chance = random.Random(seed)  # noqa: S311 - no secret
        self.done: dict[str, int] = {}

    def live(self, stop: threading.Event) -> None:
        """Use it until the event is set."""
        self._cluster.sandbox.join_network()
        self._live(stop)

    @abc.abstractmethod
    def _live(self, stop: threading.Event) -> None: ...

    def _count(self, what: str) -> None:
        self.done[what] = self.done.get(what, 0) + 1
