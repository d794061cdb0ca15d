# SPDX-License-Identifier: Apache-2.0
"""Holds Cinder's lock of LIO, for which all wait that want to change an export."""

import fcntl
import os

from lab.services.cinder_conf import STATE

_held: list[int] = []


def hold() -> None:
    """Hold it until :func:`let_go`, or the end of this session."""
    file = os.open(f"{STATE}/locks/cinder-lioadm", os.O_RDWR)
    fcntl.lockf(file, fcntl.LOCK_EX)
    _held.append(file)


def let_go() -> None:
    """End what :func:`hold` began."""
    os.close(_held.pop())
