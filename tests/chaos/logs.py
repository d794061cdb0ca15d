# SPDX-License-Identifier: Apache-2.0
"""Makes operations of what workers logged."""

import dataclasses
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.chaos.history import Block, Operation


@dataclasses.dataclass(frozen=True)
class Clock:
    """What a node's clock is by the clock of the lab's host, since the node's boot.

    Attributes:
        least: that is to be added to the node's time at least, in seconds.
        most: and at most.
    """

    least: float
    most: float

    @classmethod
    def compare(
        cls,
        node: Callable[[], float],
        here: Callable[[], float],
        times: int = 10,
    ) -> "Clock":
        """Ask a node for its time several times; keep what all answers leave open."""
        least, most = -math.inf, math.inf
        for _ in range(times):
            before = here()
            there = node()
            after = here()
            least, most = max(least, before - there), min(most, after - there)
        return cls(least, most)


def operations(
    path: Path, attachment: str, volume: str, clock: Clock
) -> Iterator[Operation]:
    """Give the operations of a worker's log.

    The last may have no end. A line that is not whole is one whose worker was killed.

    Args:
        path: of the log.
        attachment: the worker's.
        volume: its id.
        clock: of the worker's node.
    """
    entries = _entries(path)
    for begun in entries:
        ended = next(entries, None)
        completed = math.inf
        if ended is not None and ended["error"] is None:
            completed = ended["at"] + clock.most
        yield Operation(
            attachment,
            Block(volume, begun["block"]),
            begun["wrote"],
            None if ended is None else ended["read"],
            begun["at"] + clock.least,
            completed,
        )


def _entries(path: Path) -> Iterator[dict[str, Any]]:
    if not path.exists():
        return
    for line in path.read_bytes().split(b"\n"):
        try:
            yield json.loads(line)
        except ValueError:
            return
