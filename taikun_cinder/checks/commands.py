# SPDX-License-Identifier: Apache-2.0
"""Runs the commands that tell something to everybody."""

import os

from oslo_concurrency import processutils

#: Some of them are for administrators, and users' shells do not look there.
_MORE = "/usr/sbin:/sbin:/usr/bin:/bin"


def said(*command: str) -> str:
    """Run a command as this user; give what it prints.

    Raises:
        ProcessExecutionError: it failed.
        OSError: it could not be run.
    """
    path = os.pathsep.join(filter(None, (os.environ.get("PATH"), _MORE)))
    out, _ = processutils.execute(*command, env_variables={**os.environ, "PATH": path})
    return str(out)
