# SPDX-License-Identifier: Apache-2.0
"""Makes oslo.privsep notice that its privileged process was killed.

Its reader (``oslo_privsep.comm.ClientChannel._reader_main``, seen in 3.12) ends itself
properly when the connection ends, but dies of ConnectionResetError when the privileged
process is killed with a request still unread. Then its caller waits for ever, and
the process is never started again. Two callers that notice at once are trouble too: the
second may stop what the first has just started. This module can go when both are mended
there.
"""

import threading
from typing import Any

from oslo_privsep import priv_context


class Context(priv_context.PrivContext):
    """A PrivContext that gets over the loss of its privileged process."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._restarting = threading.Lock()

    def start(self, *args: Any, **named: Any) -> None:
        """Start the privileged process, and watch it."""
        super().start(*args, **named)
        watch = threading.Thread(
            name="privsep_watch", target=_tidy_up, args=(self.channel,), daemon=True
        )
        watch.start()

    def _wrap(self, *args: Any, **named: Any) -> Any:
        if not self.client_mode:
            return super()._wrap(*args, **named)
        channel = self._connected()
        try:
            return super()._wrap(*args, **named)
        except ConnectionError:
            # The reader may not have seen it yet, and the next call must start anew.
            channel.running = False
            raise

    def _connected(self) -> Any:
        with self._restarting:
            if self.channel is not None and not self.channel.running:
                self.stop()
            if self.channel is None:
                self.start()
            return self.channel


def _tidy_up(channel: Any) -> None:
    """Do what the reader should have done when it ended; twice is no harm."""
    channel.reader_thread.join()
    with channel.lock:
        for waiting in channel.outstanding_msgs.values():
            waiting.set_exception(ConnectionError("the privileged process was lost"))
        channel.running = False
