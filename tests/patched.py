# SPDX-License-Identifier: Apache-2.0
"""A pytest plugin: the mode that cinder-volume runs in, with threads by eventlet.

All of Cinder's services patch Python's own modules before anything else is imported;
those of Cinder 29 do not if OS_CINDER_DISABLE_EVENTLET_PATCHING is set.
"""

import eventlet

try:
    from cinder import monkey_patch
except ImportError:  # before Cinder 29
    eventlet.monkey_patch()
else:
    monkey_patch.patch()
