# SPDX-License-Identifier: Apache-2.0
"""The request of Cinder's that a thread works for."""

from oslo_context import context


def request_id() -> str:
    """Give the id of the request of Cinder's API, as oslo.log has it in its lines.

    All calls that Cinder makes for one request have the same id, and a request that is
    repeated has another one. oslo.messaging notes it for the thread that serves a call.

    Returns:
        the id; empty if the thread works for no request.
    """
    request = context.get_current()
    return str(request.request_id or "") if request else ""
