# SPDX-License-Identifier: Apache-2.0
"""One call at a time for each target and each HBA, on the whole node.

Who does the work holds the lock: a caller may give up or die, while its call hangs in
the kernel and goes on when it wakes. The lock is a range of one file (F_OFD_SETLK in
fcntl(2)), which belongs to the file as this one call opened it. So it keeps threads
apart and processes too, and it is held until the call has come back, even from a
process that was killed meanwhile: such a process keeps its files until its last thread
has left the kernel.

The file is an attribute of LIO's own. It is there if and only if LIO is, it is root's,
and it is the same in all containers of a node, where /run may differ.
"""

import contextlib
import dataclasses
import errno
import fcntl
import hashlib
import os
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from taikun_cinder.privsep import deadline
from taikun_cinder.privsep.refusal import Busy

FILE = Path("/sys/kernel/config/target/dbroot")

#: How long a call waits for its turn, in seconds. A call that has not come back by then
#: hangs, as a rule.
PATIENCE = 0.5

_PAUSE = 0.005

#: struct flock (fcntl(2)): type, whence, start, length, pid.
_FLOCK = struct.Struct("@hhqqi0q")


@dataclasses.dataclass
class Turn:
    """The one call that works on a target now.

    Attributes:
        doing: what it does, in words.
        since: when it began, by the deadline's clock.
    """

    doing: str
    since: float = dataclasses.field(default_factory=deadline.now)


#: The turns of this process, by target.
_turns: dict[str, Turn] = {}
_guard = threading.Lock()


@contextlib.contextmanager
def of_target(target: str, doing: str) -> Iterator[Turn]:
    """Keep all other calls from a target during the block.

    Args:
        target: its name.
        doing: what is done, in words, for those who are refused meanwhile.

    Raises:
        Busy: another call has not come back.
    """
    with _opened() as file:
        _wait(file, _place("iscsi", target), target)
        turn = Turn(doing)
        with _guard:
            _turns[target] = turn
        try:
            yield turn
        finally:
            with _guard:
                _turns.pop(target, None)


@contextlib.contextmanager
def of_hba(name: str) -> Iterator[None]:
    """Keep all other calls from changing an HBA during the block, and from listing it.

    Args:
        name: of its folder.

    Raises:
        Busy: another call has not come back.
    """
    with _opened() as file:
        _wait(file, _place("core", name), name)
        yield


class HbasAtWork:
    """Tells which HBAs are being changed, and must not be listed.

    The kernel holds the folder while something in it is removed, so a look into it
    would hang as long as the removal does.
    """

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> "HbasAtWork":
        self._file = self._stack.enter_context(_opened())
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def __contains__(self, name: str) -> bool:
        if self._file is None:
            return False
        wish = _wish(_place("core", name))
        answer = fcntl.fcntl(self._file, fcntl.F_OFD_GETLK, wish)
        return bool(_FLOCK.unpack(answer)[0] != fcntl.F_UNLCK)


@contextlib.contextmanager
def _opened() -> Iterator[int | None]:
    """Open the file for one call; None where there is no LIO, and nothing to lock."""
    try:
        file = os.open(FILE, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        yield None
        return
    try:
        yield file
    finally:
        os.close(file)


def _wait(file: int | None, place: int, name: str) -> None:
    if file is None:
        return
    end = deadline.now() + PATIENCE
    while not _take(file, place):
        with _guard:
            turn = _turns.get(name)
        age = deadline.now() - turn.since if turn else 0.0
        if age > PATIENCE or deadline.now() > end:
            raise Busy(turn.doing if turn else "", age)
        time.sleep(_PAUSE)


def _take(file: int, place: int) -> bool:
    try:
        fcntl.fcntl(file, fcntl.F_OFD_SETLK, _wish(place))
    except OSError as error:
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            raise
        return False
    return True


def _wish(place: int) -> bytes:
    return _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, place, 1, 0)


def _place(kind: str, name: str) -> int:
    digest = hashlib.sha256(f"{kind}/{name}".encode()).digest()
    return int.from_bytes(digest[:7])
