# SPDX-License-Identifier: Apache-2.0
"""Those who use a volume of a run, and try again whatever fails."""

import abc
import random
import threading
from collections.abc import Callable

from lab.cluster import Cluster
from tests.chaos.book import Book

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
        self, cluster: Cluster, book: Book, volume: str, blocks: int, seed: str
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

    def _until_done(self, deed: Callable[[], object], timeout: float) -> bool:
        """Do something until it does not fail; say whether it came to that in time."""
        deadline = self._book.now() + timeout
        while failure(deed) is not None:
            if self._book.now() > deadline:
                return False
            threading.Event().wait(1)
        return True
