# SPDX-License-Identifier: Apache-2.0
"""An application that writes all the time, and notes every stall and every error."""

import dataclasses
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from lab.guest import blocks

#: How often a run tells what it saw so far, in seconds.
_EVERY = 0.1

_PROGRAM = (sys.executable, "-m", "lab.guest.steady")


@dataclasses.dataclass
class Steady:
    """The observations of the application.

    Attributes:
        writes: how many writes were acknowledged.
        errors: what the kernel answered to those that were not.
        longest: the longest time that a write took, in seconds.
    """

    writes: int = 0
    errors: list[str] = dataclasses.field(default_factory=list)
    longest: float = 0.0


def _file(name: str, what: str) -> Path:
    return Path(f"/run/steady-{name}.{what}")


def _wait_for(path: Path, what: str, timeout: float = 60) -> None:
    deadline = time.monotonic() + timeout
    while not path.exists():
        if time.monotonic() > deadline:
            raise RuntimeError(f"the application did not {what} in {timeout:.0f} s")
        time.sleep(0.02)


def _write_on(device: int, block: int, name: str, pause: float) -> None:
    seen = Steady()
    told = 0.0
    while not _file(name, "stop").exists():
        start = time.monotonic()
        try:
            blocks.put(device, block, f"write {seen.writes}")
            seen.writes += 1
        except OSError as error:
            seen.errors.append(str(error))
            time.sleep(0.1)
        seen.longest = max(seen.longest, time.monotonic() - start)
        if time.monotonic() - told > _EVERY:
            _tell(name, "begun", seen)
            told = time.monotonic()
        time.sleep(pause)
    _tell(name, "note", seen)


def _tell(name: str, what: str, seen: Steady) -> None:
    draft = _file(name, "draft")
    draft.write_text(json.dumps(dataclasses.asdict(seen)))
    draft.rename(_file(name, what))


def begin(path: str, block: int, pause: float = 0.002) -> str:
    """Write to one block of a device, over and over; give the run's name.

    It goes on until :func:`end`, whatever becomes of the call that began it.

    Args:
        path: of the device.
        block: its number.
        pause: in seconds, between two writes; several writers starve a kernel that
            has one processor, and a stall is seen with any pause.
    """
    name = f"{Path(path).name}-{block}-{time.monotonic_ns()}"
    with Path(f"/run/steady-{name}.log").open("w") as log:
        subprocess.Popen(
            [*_PROGRAM, path, str(block), name, str(pause)],
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    _wait_for(_file(name, "begun"), "write once")
    return name


def so_far(name: str) -> dict[str, Any]:
    """Give what the run saw until a moment ago, see :class:`Steady`; it goes on."""
    return dict(json.loads(_file(name, "begun").read_text()))


def end(name: str) -> dict[str, Any]:
    """Stop the run and give what it saw, see :class:`Steady`."""
    _file(name, "stop").touch()
    _wait_for(_file(name, "note"), "end: a write hangs")
    return dict(json.loads(_file(name, "note").read_text()))


if __name__ == "__main__":
    # Held open, as a virtual machine holds its disk. Where a device is closed after a
    # write, udev looks at it anew each time, which starves the node.
    with blocks.to_write(sys.argv[1]) as opened:
        _write_on(opened, int(sys.argv[2]), sys.argv[3], float(sys.argv[4]))
