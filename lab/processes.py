# SPDX-License-Identifier: Apache-2.0
"""What /proc tells of a process, on the machine and on a node."""

from pathlib import Path


def stat(process: Path) -> list[str]:
    """Give the fields of a process's ``stat``, see proc(5), from its state on.

    Args:
        process: its folder in /proc, or a task's.

    Raises:
        OSError: it is not there.
    """
    # Its name, which comes before, can have anything in it.
    return (process / "stat").read_text().rpartition(")")[2].split()


def birth(pid: int) -> str | None:
    """Give the start time of a process in clock ticks, None when it does not run."""
    try:
        state, *fields = stat(Path(f"/proc/{pid}"))
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if state == "Z" else fields[18]


def runs(pid: int) -> bool:
    """Say whether a process runs; one that nobody has reaped does not."""
    return birth(pid) is not None


def parent(process: Path) -> int:
    """Give the number of a process's parent, by its folder in /proc.

    Raises:
        OSError: it is not there.
    """
    return int(stat(process)[1])
