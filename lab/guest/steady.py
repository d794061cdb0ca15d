# SPDX-License-Identifier: Apache-2.0
"""An application that never stops to write, and notes every stall and every error."""

import dataclasses
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from lab.guest import blocks


@dataclasses.dataclass
class Steady:
    """What the application saw.

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


def _write_on(path: str, block: int, name: str) -> None:
    seen = Steady()
    while not _file(name, "stop").exists():
        start = time.monotonic()
        try:
            blocks.write(path, block, f"write {seen.writes}")
            seen.writes += 1
        except OSError as error:
            seen.errors.append(str(error))
            time.sleep(0.1)
        seen.longest = max(seen.longest, time.monotonic() - start)
        _file(name, "begun").touch()
        time.sleep(0.002)
    draft = _file(name, "draft")
    draft.write_text(json.dumps(dataclasses.asdict(seen)))
    draft.rename(_file(name, "note"))


def begin(path: str, block: int) -> str:
    """Write to one block of a device, over and over; give the run's name.

    It goes on until :func:`end`, whatever becomes of the call that began it.
    """
    name = f"{Path(path).name}-{block}-{time.monotonic_ns()}"
    with Path(f"/run/steady-{name}.log").open("w") as log:
        subprocess.Popen(
            [sys.executable, "-m", "lab.guest.steady", path, str(block), name],
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    _wait_for(_file(name, "begun"), "write once")
    return name


def end(name: str) -> dict[str, Any]:
    """Stop the run and give what it saw, see :class:`Steady`."""
    _file(name, "stop").touch()
    _wait_for(_file(name, "note"), "end: a write hangs")
    return dict(json.loads(_file(name, "note").read_text()))


if __name__ == "__main__":
    _write_on(sys.argv[1], int(sys.argv[2]), sys.argv[3])
