# SPDX-License-Identifier: Apache-2.0
"""Tells a person what is going on, and since when."""

import sys
import threading
import time


class Terminal:
    """Progress lines with the seconds since the start, safe to call from threads.

    Attributes:
        last: the last line, that is: what is being done.
    """

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._lock = threading.Lock()
        self.last = ""
        self._steps: list[tuple[str, float]] = []

    def __call__(self, text: str) -> None:
        """Print one line of progress."""
        with self._lock:
            self.last = text.strip()
            print(f"[{self.elapsed():6.1f} s] {text}", flush=True)

    def step(self, text: str) -> None:
        """Print a line of progress that begins a step, and ends the one before."""
        self(text)
        self._steps.append((self.last, self.elapsed()))

    def steps(self) -> list[tuple[str, float]]:
        """Give the steps, each with the seconds that it took; the last until now."""
        ends = [*(begin for _text, begin in self._steps[1:]), self.elapsed()]
        return [
            (text, end - begin)
            for (text, begin), end in zip(self._steps, ends, strict=True)
        ]

    def elapsed(self) -> float:
        """Give the seconds since the start."""
        return time.monotonic() - self._start

    @staticmethod
    def say(text: str = "") -> None:
        """Print a text as it is."""
        print(text, flush=True)

    @staticmethod
    def complain(text: str) -> None:
        """Print an error."""
        print(text, file=sys.stderr, flush=True)
