# SPDX-License-Identifier: Apache-2.0
"""Tells in the log how far long work has come; short work is not told at all."""

import time
from collections.abc import Callable

from oslo_log import log as logging

LOG = logging.getLogger(__name__)

#: How often it is told, in seconds.
INTERVAL = 10.0


class Progress:
    """The progress of one piece of work, from now on.

    Args:
        doing: what is done, in words.
        clock: gives seconds.
    """

    def __init__(self, doing: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._doing = doing
        self._clock = clock
        self._began = self._told = clock()
        self._ended = False
        self.done = 0

    def step(self, total: Callable[[], int]) -> None:
        """Count one more, and tell it if the last time was long ago and it goes on.

        Args:
            total: counts all that there is to do.
        """
        self.done += 1
        now = self._clock()
        if now - self._told >= INTERVAL and not self._ended:
            self._told = now
            LOG.info(
                "%(doing)s: %(done)d of %(total)d done, after %(seconds).0f s",
                self._words(total=total()),
            )

    def end(self) -> None:
        """Tell what it took, if anything was told before. From now on nothing is."""
        self._ended = True
        if self._told != self._began:
            LOG.info(
                "%(doing)s: all %(done)d done, after %(seconds).0f s", self._words()
            )

    def _words(self, **more: int) -> dict[str, object]:
        seconds = self._clock() - self._began
        return {"doing": self._doing, "done": self.done, "seconds": seconds, **more}
