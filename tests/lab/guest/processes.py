# SPDX-License-Identifier: Apache-2.0
"""The node's processes: their users, and the command lines that they show to all."""

import os
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

#: The privileged half of the driver, as oslo.privsep names it in its command line.
PRIVILEGED = "taikun_cinder.privsep.context"

_STOP = Path("/run/command-lines.stop")


def _each(but: Collection[str] = ()) -> Iterator[tuple[Path, list[str]]]:
    for name in _numbers():
        if name not in but:
            folder = Path("/proc", name)
            if argv := _argv(folder):
                yield folder, argv


def _numbers() -> list[str]:
    return [name for name in os.listdir("/proc") if name.isdecimal()]


def _argv(folder: Path) -> list[str]:
    try:
        return (folder / "cmdline").read_text(errors="replace").split("\0")[:-1]
    except (FileNotFoundError, ProcessLookupError):
        return []  # it ended while we looked


def privileged() -> list[Path]:
    """Give the folder in /proc of each privileged process of the driver."""
    return [
        folder for folder, argv in _each() if PRIVILEGED in argv and "sudo" not in argv
    ]


def identities(program: str) -> list[dict[str, Any]]:
    """Give the users and the capabilities that the processes of a program run with.

    Args:
        program: a word of the command line, or the last part of one that is a path.

    Returns:
        each with its ``uids`` and ``capabilities`` (effective), see proc(5).
    """
    found = []
    for folder, argv in _each():
        if program not in (Path(word).name for word in argv) or "sudo" in argv:
            continue
        lines = (folder / "status").read_text().splitlines()
        status = dict(line.split(":", 1) for line in lines)
        uids = {int(uid) for uid in status["Uid"].split()}
        found.append({"uids": uids, "capabilities": int(status["CapEff"], 16)})
    return found


def command_lines() -> set[str]:
    """Give all command lines there are right now."""
    return {" ".join(argv) for _, argv in _each()}


def watch(timeout: float = 240) -> set[str]:
    """Give all command lines that are seen until :func:`end_watch` is called.

    It looks as often as it can without taking the node's one processor away from what
    it watches.
    """
    _STOP.unlink(missing_ok=True)
    os.nice(10)
    # Most are the kernel's own, which have no command line and live for ever.
    silent = {name for name in _numbers() if not _argv(Path("/proc", name))}
    seen: set[str] = set()
    deadline = time.monotonic() + timeout
    while not _STOP.exists() and time.monotonic() < deadline:
        begin = time.monotonic()
        seen |= {" ".join(argv) for _, argv in _each(silent)}
        time.sleep(2 * (time.monotonic() - begin))
    return seen


def end_watch() -> None:
    """Let :func:`watch` return."""
    _STOP.touch()
