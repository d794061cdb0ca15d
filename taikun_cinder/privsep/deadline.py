# SPDX-License-Identifier: Apache-2.0
"""Until when a call of the privileged process may change something.

oslo.privsep does not end a call whose caller has given up, or died: it can hang in the
kernel for hours, and goes on when it wakes. By then somebody else may have been told
something else. So each call comes with the time until which its caller waits, and
``files`` looks here before each change: what comes too late does nothing.
"""

import contextlib
import logging
import select
import threading
import time
from collections.abc import Iterator
from typing import Any

from oslo_privsep import daemon

#: The clock of all processes of a node (CLOCK_MONOTONIC).
now = time.monotonic

#: How long a caller that was there is taken to be there still, in seconds. It counts
#: for what hung in the kernel, and that hangs longer: a look costs as much as a change.
FRESH = 0.005

_HUNG_UP = select.POLLHUP | select.POLLRDHUP | select.POLLERR


class TooLate(Exception):  # noqa: N818 - it says what happened
    """A change was left undone, since nobody waits for it any more."""


class _Limits(threading.local):
    """The limits of the call that this thread serves."""

    until: float | None = None
    caller: Any = None
    looked: float = 0


_limits = _Limits()


@contextlib.contextmanager
def kept(until: float | None) -> Iterator[None]:
    """Let this thread change nothing in the block after a time; None for no limit.

    Nor when the caller has gone; in the caller's own process there is none.
    """
    _limits.until, _limits.caller = until, None if until is None else _caller()
    _limits.looked = 0
    try:
        yield
    finally:
        _limits.until = _limits.caller = None


def check() -> None:
    """See that the call's caller still waits.

    Raises:
        TooLate: it does not.
    """
    if _limits.until is None:
        return
    time_now = now()
    if time_now > _limits.until:
        raise TooLate("its caller waits no more")
    if _limits.caller is None or time_now - _limits.looked < FRESH:
        return
    if _has_hung_up(_limits.caller):
        raise TooLate("its caller is gone")
    _limits.looked = time_now


def _caller() -> Any:
    """Give the socket to the caller.

    Neither a context nor a thread of the daemon knows it, but the daemon logs to it
    (oslo_privsep.daemon.replace_logging). ``client.refuse_unknown_privsep`` sees that
    it is so.
    """
    for handler in logging.getLogger().handlers:
        if isinstance(handler, daemon.PrivsepLogHandler):
            return handler.channel.writer.writesock
    return None


def _has_hung_up(socket: Any) -> bool:
    poll = select.poll()
    poll.register(socket, _HUNG_UP)
    return bool(poll.poll(0))
