# SPDX-License-Identifier: Apache-2.0
"""What hosts did to the blocks of volumes, and what they were allowed to.

All times are seconds of one clock, the lab's host's. A node's own clock is compared
with it, and an operation that the node timed is made longer at both ends by what that
comparison leaves open. A longer operation can hide a fault and never makes one up.
"""

import dataclasses
import math
from collections.abc import Iterable

#: What a block has that nobody wrote to: zeros.
BLANK = ""

#: The node where volumes live, which has no attachments.
STORAGE = "storage"

#: Between the two parts of a value.
_SEPARATOR = "/"


@dataclasses.dataclass(frozen=True, order=True)
class Block:
    """A sector of a volume: what a disk writes as a whole or not at all.

    Attributes:
        volume: its id.
        number: of the sector, from its begin.
    """

    volume: str
    number: int

    def __str__(self) -> str:
        return f"block {self.number} of volume {self.volume}"


def value(attachment: str, number: int) -> str:
    """Give what an attachment's write number so-and-so writes, and no other one."""
    return f"{attachment}{_SEPARATOR}{number}"


def writer(value: str) -> str:
    """Give the attachment that wrote a value."""
    return value.rpartition(_SEPARATOR)[0]


@dataclasses.dataclass(frozen=True)
class Operation:
    """A write or a read of one block.

    Attributes:
        attachment: by which the host does it.
        block: of which volume.
        wrote: the value, None for a read.
        read: the value that came back, None for a write, and where none did.
        invoked: when it began.
        completed: when it ended; infinity if nobody knows what became of it, as it is
            with a write that the kernel reports as an error: it may still arrive.
        failed: whether it is certain that it did nothing.
    """

    attachment: str
    block: Block
    wrote: str | None
    read: str | None
    invoked: float
    completed: float
    failed: bool = False

    @property
    def acknowledged(self) -> bool:
        """Whether it ended well."""
        return not self.failed and self.completed < math.inf

    def __str__(self) -> str:
        what = "read" if self.wrote is None else f"write of {self.wrote or 'blank'}"
        if self.read is not None:
            what += f" of {self.read or 'blank'}"
        end = "?" if self.completed == math.inf else f"{self.completed:.3f}"
        return f"{what} ({self.invoked:.3f} to {end} s)"


@dataclasses.dataclass(frozen=True)
class Access:
    """What an attachment gives a host, and until when.

    Attributes:
        attachment: its id.
        host: the name of its node.
        volume: its id.
        writes: whether it may write.
        ended: when the request that took the access away had returned; infinity if none
            did.
        given_up: when the first one that might take it away began: from then on its
            host's errors are to be expected.
        back: when an earlier database came back that knows the attachment still, though
            its access had ended: from then on it may have access again. Or when its
            access ended, and another attachment, which that database does not know,
            may have kept its host in.
    """

    attachment: str
    host: str
    volume: str
    writes: bool
    ended: float = math.inf
    given_up: float = math.inf
    back: float = math.inf


def unattached(name: str, volume: str) -> Access:
    """Give that of a look at a volume where it lives, which may take its time."""
    return Access(name, STORAGE, volume, writes=False, given_up=-math.inf)


@dataclasses.dataclass(frozen=True)
class Excuse:
    """A time in which a host's operations may fail or wait.

    Attributes:
        host: the node's name, None for all of them.
        since: in seconds.
        until: in seconds.
        why: the fault, in a word or two.
        volume: the only one that it is about, None for all of them.
    """

    host: str | None
    since: float
    until: float
    why: str
    volume: str | None = None

    def covers(self, host: str, operation: Operation) -> bool:
        """Say whether an operation of a host ran in it, with a part of it at least."""
        if self.host not in (None, host):
            return False
        if self.volume not in (None, operation.block.volume):
            return False
        return self.since <= operation.completed and operation.invoked <= self.until


@dataclasses.dataclass(frozen=True)
class History:
    """All that is known of a run.

    Attributes:
        operations: of all hosts, in any order.
        accesses: of all attachments that an operation names.
        excuses: for errors and delays.
        patience: the longest that an operation may take, in seconds.
        copies: the attachments that are looks at a copy, which is to be of one time.
    """

    operations: tuple[Operation, ...]
    accesses: tuple[Access, ...]
    excuses: tuple[Excuse, ...] = ()
    patience: float = math.inf
    copies: tuple[str, ...] = ()

    def attachments(self) -> int:
        """Tell how many of hosts there were."""
        return sum(one.host != STORAGE for one in self.accesses)

    def by_block(self) -> dict[Block, list[Operation]]:
        """Give the operations of each block, in the order in which they began."""
        found: dict[Block, list[Operation]] = {}
        for operation in sorted(self.operations, key=lambda one: one.invoked):
            found.setdefault(operation.block, []).append(operation)
        return found

    def access(self) -> dict[str, Access]:
        """Give the accesses by their attachments' ids."""
        return _unique((one.attachment, one) for one in self.accesses)


def _unique(pairs: Iterable[tuple[str, Access]]) -> dict[str, Access]:
    found: dict[str, Access] = {}
    for key, one in pairs:
        if key in found:
            raise ValueError(f"attachment {key} is in the history twice")
        found[key] = one
    return found
