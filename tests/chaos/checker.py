# SPDX-License-Identifier: Apache-2.0
"""Decides whether what hosts read and wrote is what one disk would have given them.

A block is a register, and no two writes have the same value, so each read tells which
write it saw. Then linearizability can be decided in the time that sorting takes (P. B.
Gibbons and E. Korach, "Testing shared memories", SIAM Journal on Computing 26, 1997):
a write and the reads of its value have a zone, from the first end to the last begin
among them. If the first end comes first, the block had this value all that time, so no
two such zones may overlap; else the zone is a time somewhere in which it had the value
for a moment, which may not lie within a zone of the other kind.

What a fence promises is in the same decision: a write that nobody knows the end of
counts as ended when the access that it needs had been taken away. One that lands later
contradicts what was read in between.
"""

import bisect
import dataclasses
import math
from collections.abc import Iterable, Iterator, Sequence

from tests.chaos.cuts import Cut, torn
from tests.chaos.history import (
    BLANK,
    Access,
    Block,
    History,
    Operation,
    writer,
)


@dataclasses.dataclass(frozen=True)
class Violation:
    """Something that one disk, with these accesses, cannot have done.

    Attributes:
        law: which promise is broken, in a few words.
        block: where.
        text: what was seen.
        when: a time in it, in seconds.
    """

    law: str
    block: Block
    text: str
    when: float

    def __str__(self) -> str:
        return f"{self.when:.3f} s: {self.law}: {self.block}: {self.text}"


@dataclasses.dataclass(frozen=True)
class _Zone:
    """The time of one value: see the module's text."""

    value: str
    first_end: float
    last_begin: float

    @property
    def held(self) -> bool:
        """Whether the block had the value all that time."""
        return self.first_end < self.last_begin

    @property
    def begin(self) -> float:
        return min(self.first_end, self.last_begin)

    @property
    def end(self) -> float:
        return max(self.first_end, self.last_begin)

    def __str__(self) -> str:
        name = self.value or "blank"
        if self.held:
            return f"{name} from {self.begin:.3f} to {self.end:.3f} s"
        return f"{name} at a time between {self.begin:.3f} and {self.end:.3f} s"


def check(history: History) -> list[Violation]:
    """Give all that is wrong with a history, the earliest first.

    Raises:
        ValueError: it is not one: two writes of one value, or an unknown attachment.
    """
    access = history.access()
    found: list[Violation] = []
    blocks = history.by_block()
    for block, operations in blocks.items():
        found += _of_block(block, operations, access)
    found += (_torn(cut) for cut in torn(history.copies, blocks))
    found += _disturbed(history, access)
    return sorted(found, key=lambda one: one.when)


def _torn(cut: Cut) -> Violation:
    text = (
        f"{cut.name} has {cut.newer.read}, there from {cut.written:.3f} s on, and of "
        f"{cut.older.block} {cut.older.read or 'blank'}, gone at {cut.gone:.3f} s"
    )
    return Violation("no copy of one time", cut.newer.block, text, cut.newer.invoked)


def _of_block(
    block: Block, operations: Sequence[Operation], access: dict[str, Access]
) -> Iterator[Violation]:
    writes = _writes(operations)
    reads: dict[str, list[Operation]] = {}
    for operation in operations:
        if operation.read is not None:
            reads.setdefault(operation.read, []).append(operation)
    zones = []
    for value in {**dict.fromkeys(writes), **dict.fromkeys(reads)}:
        seen = reads.get(value, [])
        if value == BLANK:
            last = max(read.invoked for read in seen)
            zones.append(_Zone(value, -math.inf, last))
            continue
        write = writes.get(value)
        fault = _impossible(block, value, write, seen, access)
        if fault is not None:
            yield fault
        elif write is not None and (seen or write.acknowledged):
            zones.append(_zone(write, seen, access[write.attachment]))
    yield from _contradictions(block, zones)


def _writes(operations: Iterable[Operation]) -> dict[str, Operation]:
    found: dict[str, Operation] = {}
    for operation in operations:
        if operation.wrote is not None:
            if operation.wrote in found:
                raise ValueError(f"{operation.wrote} was written twice")
            found[operation.wrote] = operation
    return found


def _impossible(
    block: Block,
    value: str,
    write: Operation | None,
    seen: Sequence[Operation],
    access: dict[str, Access],
) -> Violation | None:
    """Say why nobody can have seen a value, or got it acknowledged, if that is so."""
    if write is None:
        text = f"{seen[0]}: nobody wrote that to it ({writer(value) or 'no value'})"
        return Violation("foreign data", block, text, seen[0].invoked)
    law = None
    allowed = access[write.attachment]
    shown = f"{write}" + (f", seen by the {seen[0]}" if seen else "")
    if not (seen or write.acknowledged):
        pass
    elif not allowed.writes:
        law = "a reader wrote"
        shown += f": by a read-only attachment of {allowed.host}"
    elif allowed.ended < write.invoked < allowed.back:
        law = "a write after the end of access"
        shown += f": the access of {allowed.host} had ended at {allowed.ended:.3f} s"
    elif write.failed:
        law = "a failed write was done"
    elif any(read.completed < write.invoked for read in seen):
        law = "read before it was written"
    when = seen[0].invoked if seen else write.invoked
    return None if law is None else Violation(law, block, shown, when)


def _zone(write: Operation, reads: Sequence[Operation], allowed: Access) -> _Zone:
    ended = write.completed
    if ended <= allowed.back or allowed.back == math.inf:
        ended = max(write.invoked, min(ended, allowed.ended))
    both = (dataclasses.replace(write, completed=ended), *reads)
    return _Zone(
        str(write.wrote),
        min(one.completed for one in both),
        max(one.invoked for one in both),
    )


def _contradictions(block: Block, zones: Iterable[_Zone]) -> Iterator[Violation]:
    """Find values that cannot be put into an order."""
    held = sorted((one for one in zones if one.held), key=lambda one: one.begin)
    longest = None
    for zone in held:
        if longest is not None and zone.begin < longest.end:
            yield _contradiction(block, longest, zone)
        if longest is None or longest.end < zone.end:
            longest = zone
    begins = [one.begin for one in held]
    for zone in zones:
        if zone.held:
            continue
        before = bisect.bisect_left(begins, zone.begin)
        if before and zone.end < held[before - 1].end:
            yield _contradiction(block, held[before - 1], zone)


def _contradiction(block: Block, one: _Zone, other: _Zone) -> Violation:
    text = f"it had {one}, and {other}: a write was lost, or a read was stale"
    return Violation("no order of one disk", block, text, other.begin)


def _disturbed(history: History, access: dict[str, Access]) -> Iterator[Violation]:
    """Find what went wrong for hosts that were attached all the time."""
    for operation in history.operations:
        allowed = access[operation.attachment]
        if operation.wrote is not None and not allowed.writes:
            continue  # it is to fail
        if allowed.given_up <= min(
            operation.completed, operation.invoked + history.patience
        ):
            continue
        if any(one.covers(allowed.host, operation) for one in history.excuses):
            continue
        taken = operation.completed - operation.invoked
        if operation.failed or taken > history.patience:
            text = f"{operation} of {allowed.host}, which stayed attached"
            law = "an error" if taken == math.inf or operation.failed else "a long wait"
            yield Violation(law, operation.block, text, operation.invoked)
