# SPDX-License-Identifier: Apache-2.0
"""Decides whether a copy of a volume can be the volume at one time.

Each block of it may have been read at its own time, and still be in order. But the
copy is to be of one time for all blocks: what a snapshot is, and what a file system
needs. A block had a value from when its write began at the earliest, until another
value was there that is known to have been written after it.
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence

from tests.chaos.history import BLANK, Block, Operation


@dataclasses.dataclass(frozen=True)
class Cut:
    """Two blocks of a copy that never were so at one time.

    Attributes:
        name: of the copy.
        newer: a block, with a value that was written after ``written``.
        older: another, with a value that was gone before.
        written: the earliest that the newer value can have been there, in seconds.
        gone: the latest that the older one can have been there.
    """

    name: str
    newer: Operation
    older: Operation
    written: float
    gone: float


@dataclasses.dataclass(frozen=True)
class _Value:
    """What is known of one value of a block.

    Attributes:
        since: the earliest that it can have been there.
        there: when it certainly was, or had been, there first.
    """

    since: float
    there: float


def torn(
    copies: Sequence[str], blocks: Mapping[Block, Sequence[Operation]]
) -> Iterator[Cut]:
    """Find the copies that are not of one time.

    Args:
        copies: their names, which their operations have for an attachment.
        blocks: all operations by their blocks.
    """
    seen: dict[str, list[tuple[Operation, float, float]]] = {}
    for operations in blocks.values():
        values = _values(operations)
        for one in operations:
            if one.attachment in copies and one.read in values:
                times = _times(one.read, values)
                seen.setdefault(one.attachment, []).append((one, *times))
    for name, reads in seen.items():
        newer, written, _ = max(reads, key=lambda read: read[1])
        older, _, gone = min(reads, key=lambda read: read[2])
        if written > gone:
            yield Cut(name, newer, older, written, gone)


def _values(operations: Sequence[Operation]) -> dict[str, _Value]:
    """Give what is known of each value of a block, the first one too."""
    found = {BLANK: _Value(-math.inf, -math.inf)}
    for one in operations:
        if one.wrote is not None:
            there = one.completed if one.acknowledged else math.inf
            found[one.wrote] = _Value(one.invoked, there)
    for one in operations:
        if one.read and (known := found.get(one.read)) is not None:
            there = min(known.there, one.completed)
            found[one.read] = dataclasses.replace(known, there=there)
    return found


def _times(value: str, values: Mapping[str, _Value]) -> tuple[float, float]:
    """Give the earliest and the latest that a block can have had a value."""
    known = values[value]
    after = (one.there for one in values.values() if one.since > known.there)
    return known.since, min(after, default=math.inf)
