# SPDX-License-Identifier: Apache-2.0
"""The mode that Cinder's services run in: Python's threads by eventlet.

They patch Python's own modules before anything else is imported; those of Cinder 29 do
not if OS_CINDER_DISABLE_EVENTLET_PATCHING is set. Nothing is imported here that could
keep what is not patched.
"""

import os
import select

import eventlet


def patch() -> None:
    """Patch them, as the release of Cinder does that is installed."""
    try:
        from cinder import monkey_patch  # noqa: PLC0415 - only in Cinder 29
    except ImportError:
        eventlet.monkey_patch()
    else:
        monkey_patch.patch()
    # A process that is forked would wait for events by the other one's epoll(7).
    os.register_at_fork(after_in_child=eventlet.hubs.use_hub)


def applies() -> bool:
    """Say whether this process is patched."""
    return bool(eventlet.patcher.is_monkey_patched("thread"))


def restore_poll() -> None:
    """Give a process that oslo.privsep has forked poll(2) again.

    oslo.privsep takes the patches back, but what eventlet has removed it does not bring
    back. A privileged process that sudo starts was never patched.
    """
    if applies():
        setattr(select, "poll", eventlet.patcher.original("select").poll)  # noqa: B010
