# SPDX-License-Identifier: Apache-2.0
"""What the threads of this process are at, so that a report can tell it.

A report is made in the handler of a signal, at any moment. So it takes no lock: it
might interrupt the very thread that holds it. What is done here to ``_waits`` is one
operation of the interpreter each.
"""

import contextlib
import dataclasses
import threading
import time
from collections.abc import Iterator


@dataclasses.dataclass(eq=False)
class Wait:
    """What one thread is at.

    Attributes:
        what: in words.
        thread: the thread's name.
        since: when it began, by the clock of ``time.monotonic``.
    """

    what: str
    thread: str = dataclasses.field(
        default_factory=lambda: threading.current_thread().name
    )
    since: float = dataclasses.field(default_factory=time.monotonic)


_waits: set[Wait] = set()


@contextlib.contextmanager
def noted(what: str) -> Iterator[Wait]:
    """Keep a note of what the block does."""
    wait = Wait(what)
    _waits.add(wait)
    try:
        yield wait
    finally:
        _waits.discard(wait)


def present() -> list[Wait]:
    """Give all there are now, the oldest first."""
    return sorted(_waits, key=lambda wait: wait.since)
