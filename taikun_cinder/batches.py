# SPDX-License-Identifier: Apache-2.0
"""One caller at a time does the work of all that wait for the same lock.

When many hosts attach one volume at once, each would read the same rows, look at the
same export and write the same record, one after the other. Those that wait meanwhile
are served together instead: 64 at once cost little more than a few.
"""

import threading
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

from oslo_log import log as logging

LOG = logging.getLogger(__name__)

Item = TypeVar("Item")
Answer = TypeVar("Answer")

_Work = Callable[[Sequence[Item]], Sequence[Answer]]


class _Waiting(Generic[Item, Answer]):
    """A caller that waits for the answer to an item."""

    def __init__(self, item: Item) -> None:
        self.item = item
        self.answer: Future[Answer] = Future()


class _Queue(Generic[Item, Answer]):
    """The callers that wait for one lock; ``users`` counts those that still need it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.waiting: list[_Waiting[Item, Answer]] = []
        self.users = 0


class Batches(Generic[Item, Answer]):
    """The queues of a process, one for each key; one caller at a time works on a key.

    Args:
        work: does it for several items at once, and gives an answer for each. If it
            raises, it is done for each item alone, so that one that cannot be done does
            not spoil the others. So it must be able to go on where it left off.
    """

    def __init__(self, work: "_Work[Item, Answer]") -> None:
        self._work = work
        self._guard = threading.Lock()
        self._queues: dict[Hashable, _Queue[Item, Answer]] = {}

    def do(self, key: Hashable, item: Item) -> Answer:
        """Do the work for an item, and for those of others that came meanwhile.

        Raises:
            Exception: whatever the work raised for this item alone.
        """
        mine = _Waiting[Item, Answer](item)
        with self._guard:
            queue = self._queues.setdefault(key, _Queue())
            queue.users += 1
            queue.waiting.append(mine)
        try:
            with queue.lock:
                if not mine.answer.done():
                    self._answer(self._taken(queue, mine))
        finally:
            with self._guard:
                queue.users -= 1
                if not queue.users:
                    del self._queues[key]
        return mine.answer.result()

    def _taken(
        self, queue: _Queue[Item, Answer], mine: _Waiting[Item, Answer]
    ) -> list[_Waiting[Item, Answer]]:
        with self._guard:
            others = [waiting for waiting in queue.waiting if waiting is not mine]
            queue.waiting = []
        # Even if the caller that took it was killed before it had an answer.
        return [mine, *others]

    def _answer(self, batch: Sequence[_Waiting[Item, Answer]]) -> None:
        try:
            answers = self._work([waiting.item for waiting in batch])
        except Exception as error:
            if len(batch) == 1:
                batch[0].answer.set_exception(error)
                return
            LOG.debug("Of %d at once not all could be done: %s", len(batch), error)
            for waiting in batch:
                self._answer([waiting])
        else:
            for waiting, answer in zip(batch, answers, strict=True):
                waiting.answer.set_result(answer)
