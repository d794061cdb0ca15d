# SPDX-License-Identifier: Apache-2.0
"""Logs the progress of long work; short work is not logged at all."""

import time
from collections.abc import Callable

from oslo_log import log as logging

LOG = logging.getLogger(__name__)

#: The time between two lines of the log, in seconds.
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
        """Count one more, and log it if the last line was long ago and work remains.

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
        """Log how long it took, if anything was logged before; log nothing any more."""
        self._ended = True
        if self._told != self._began:
            LOG.info(
                "%(doing)s: all %(done)d done, after %(seconds).0f s", self._words()
            )

    def _words(self, **more: int) -> dict[str, object]:
        seconds = self._clock() - self._began
        return {"doing": self._doing, "done": self.done, "seconds": seconds, **more}
