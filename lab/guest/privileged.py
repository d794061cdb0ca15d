# SPDX-License-Identifier: Apache-2.0
"""The driver's privileged process, forked from its caller instead of started by sudo.

A guest has no sudo and no rootwrap, and one that is forked is there at once.
"""

import os
from typing import Any

from oslo_privsep import daemon, priv_context

from lab.guest import patched
from taikun_cinder import privsep
from taikun_cinder.privsep.client import Context


def use_forked() -> None:
    """Have one, and another whenever it is lost; for the process that calls this."""
    start, loop = Context.start, daemon.Daemon.loop

    def forked(self: Context) -> None:
        start(self, priv_context.Method.FORK)

    def to_its_end(self: Any) -> None:
        # As one that sudo started, which has its threads come to their end: broken off,
        # LIO can keep a port for ever. And it ends here whatever ends the loop, which
        # is ECONNRESET if its client died with an answer unread. Else it would go on
        # behind the fork, as a second driver.
        patched.restore_poll()
        try:
            loop(self)
        finally:
            self.thread_pool.shutdown()
            os._exit(0)

    for owner, name, mine in (
        (Context, "start", forked),
        (daemon.Daemon, "loop", to_its_end),
    ):
        setattr(owner, name, mine)
    privsep.context.set_client_mode(True)
    privsep.context.start()
