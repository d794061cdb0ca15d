# SPDX-License-Identifier: Apache-2.0
"""Ends cinder-volume or its privileged process at any point of what they do.

A point is the moment before one of the calls in :data:`CALLS`: everything that changes
the kernel, the records, the database or a lock, or asks one of them.
"""

import contextlib
import functools
import importlib
import mmap
import os
import signal
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lab import processes

#: Where a process is killed: module, and the name in it.
CALLS = (
    ("taikun_cinder.database", "rows_of"),
    ("taikun_cinder.exports", "Exports.locked"),
    ("taikun_cinder.exports", "Exports._keep"),
    ("taikun_cinder.durable", "replace"),
    ("taikun_cinder.targets.lio.kernel", "NodesKernel.read"),
    ("taikun_cinder.targets.lio.kernel", "NodesKernel.apply"),
    ("taikun_cinder.privsep.files", "make"),
    ("taikun_cinder.privsep.files", "remove"),
    ("taikun_cinder.privsep.files", "put"),
    ("taikun_cinder.privsep.files", "link"),
    ("taikun_cinder.privsep.files", "unlink"),
    ("os", "fsync"),
    ("pathlib", "Path.replace"),
    ("pathlib", "Path.unlink"),
    ("cinder.brick.local_dev.lvm", "LVM.activate_lv"),
    ("cinder.objects", "Volume.save"),
    ("cinder.objects", "VolumeAttachment.save"),
)

_NUMBERS = struct.Struct("qq")
_NAME = 200


class Points:
    """Counts the points that are passed, in this process and those forked from it.

    Make it before the fork.
    """

    def __init__(self) -> None:
        # Shared by the processes; the points are passed one at a time.
        self._shared = mmap.mmap(-1, _NUMBERS.size + _NAME)
        self._end: Callable[[], None] | None = None
        for module, name in CALLS:
            self._wrap(module, name)

    def arm(self, number: int, victim: str) -> None:
        """Kill at the point with this number, from 1; for the process that calls this.

        Args:
            number: of the point.
            victim: ``driver`` for the calling process, ``daemon`` for its privileged
                one, if it has begun.
        """
        driver = os.getpid()
        self._shared[:] = bytes(len(self._shared))
        self._shared[: _NUMBERS.size] = _NUMBERS.pack(0, number)
        self._end = functools.partial(_end, victim, driver)

    def disarm(self) -> None:
        """Let everything pass from now on."""
        self._end = None

    @property
    def hit(self) -> str:
        """The call that was about to be made when it hit; empty if it did not."""
        return self._shared[_NUMBERS.size :].rstrip(b"\0").decode()

    def _wrap(self, module: str, name: str) -> None:
        owner: Any = importlib.import_module(module)
        *path, attribute = name.split(".")
        for part in path:
            owner = getattr(owner, part)
        real = getattr(owner, attribute)

        @functools.wraps(real)
        def passing(*args: Any, **named: Any) -> Any:
            if self._end is not None:
                self._pass(f"{module}.{name} in {_what(args)}", self._end)
            return real(*args, **named)

        setattr(owner, attribute, passing)

    def _pass(self, name: str, end: Callable[[], None]) -> None:
        passed, wanted = _NUMBERS.unpack(self._shared[: _NUMBERS.size])
        self._shared[: _NUMBERS.size] = _NUMBERS.pack(passed + 1, wanted)
        if passed + 1 == wanted:
            text = name.encode()[:_NAME]
            self._shared[_NUMBERS.size : _NUMBERS.size + len(text)] = text
            end()


def _what(args: tuple[Any, ...]) -> str:
    """Give the path among the arguments, less what all paths share, as a name."""
    # Of the texts only a path: others may be secret.
    paths = [text for text in map(str, args) if text.startswith("/")]
    return paths[0].rpartition("volume-")[2] if paths else f"process {os.getpid()}"


def _end(victim: str, driver: int) -> None:
    if victim == "driver":
        os.kill(driver, signal.SIGKILL)
        return
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if processes.parent(process) == driver:
                os.kill(int(process.name), signal.SIGKILL)
