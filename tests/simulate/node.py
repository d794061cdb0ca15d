# SPDX-License-Identifier: Apache-2.0
"""The imitated storage node of ``tests/unit/privsep``, whose files are steps of a run.

Each change of a file by a privileged process can fail, hang, come late, or be what a
kill or a power loss comes before.
"""

import errno
import fcntl
import struct
from collections.abc import Callable
from typing import Any

from tests.simulate.actors import Process
from tests.simulate.patches import Run
from tests.unit.privsep.configfs import refuse
from tests.unit.privsep.mount import FIRST, Mount
from tests.unit.privsep.node import ImitatedNode

#: How long a change hangs, in seconds: longer than its caller waits, or than another
#: call waits for its turn.
_HANGS = {"hangs": 45.0, "is slow": 2.0}

#: In which ways a change may fail, beside that.
_ERRORS = ("EIO", "EBUSY", "ENOMEM")

#: How small a change of a file is, and a look at one, beside other steps of a run.
_CHANGE, _LOOK = 0.3, 0.05

#: struct flock, see ``privsep.turns``.
_FLOCK = struct.Struct("@hhqqi0q")


class Privileged(Process):
    """The privileged process of another one.

    Attributes:
        client: the process that has started it.
        hanging: how many of its threads are in the kernel, and cannot be ended.
        kept: what it has open for those, though it was killed.
    """

    def __init__(self, client: Process) -> None:
        super().__init__(f"the privileged process of {client.name}", node=True)
        self.client = client
        self.hanging = 0
        self.kept: list[int] = []


def at_work() -> Privileged | None:
    """Give the privileged process whose turn it is; None if it is another's."""
    current = Run.scheduler.current
    process = None if current is None else current.process
    return process if isinstance(process, Privileged) else None


class SimNode(ImitatedNode):
    """A storage node that has just booted.

    Args:
        changed: is told the path of what was changed.
        process: what hangs in the kernel; it ends with the power.
    """

    def __init__(self, changed: Callable[[str], None], process: Process) -> None:
        super().__init__()
        self.mount: SimMount = SimMount(self, changed, process)


class SimMount(Mount):
    """Its configfs, mounted; see ``SimNode``."""

    def __init__(
        self, node: ImitatedNode, changed: Callable[[str], None], process: Process
    ) -> None:
        super().__init__(node.configfs, node.machine.devices)
        self._tell, self._process = changed, process
        #: By its place, the descriptor that holds a lock of the file of turns.
        self._locks: dict[int, int] = {}

    def has(self, where: object) -> bool:
        """Say whether a path, or what is open by a descriptor, is or was here."""
        # What a killed process had open before a boot may be closed much later.
        return (isinstance(where, int) and where >= FIRST) or super().has(where)

    def lock(self, descriptor: int, command: int, wish: bytes) -> bytes:
        """Do what fcntl(2) does with locks of a file that is open."""
        kind, whence, place, *rest = _FLOCK.unpack(wish)
        owner = self._locks.get(place, descriptor)
        if command == fcntl.F_OFD_GETLK:
            found = fcntl.F_UNLCK if owner == descriptor else kind
            return _FLOCK.pack(found, whence, place, *rest)
        if owner != descriptor:
            refuse(errno.EAGAIN)
        self._locks[place] = descriptor
        return wish

    def _change(
        self, what: str, path: str, call: Callable[..., Any], *arguments: Any
    ) -> Any:
        privileged = at_work()
        if privileged is None:
            return self._made(path, call, *arguments)
        words = f"{what} {path.removeprefix('target/')}"
        scheduler = Run.scheduler
        errors = () if _is_sure(path) else _ERRORS
        way = scheduler.step(words, (*errors, *_HANGS), _CHANGE)
        if way in _HANGS:
            return self._hang(privileged, words, _HANGS[way], path, call, *arguments)
        if way:
            refuse(getattr(errno, way))
        return self._made(path, call, *arguments)

    def _made(self, path: str, call: Callable[..., Any], *arguments: Any) -> Any:
        result = call(*arguments)
        self._tell(path)
        return result

    def _hang(
        self,
        privileged: Privileged,
        words: str,
        seconds: float,
        path: str,
        call: Callable[..., Any],
        *arguments: Any,
    ) -> Any:
        """Let a change come late; a kill of who asked for it does not keep it away."""
        results: list[Any] = []

        def come_back() -> None:
            Run.scheduler.sleep(seconds)
            try:
                results.append(self._made(path, call, *arguments))
                Run.scheduler.tell(f"{words}, late")
            except OSError as error:
                results.append(error)
            privileged.hanging -= 1
            if privileged.dead and not privileged.hanging:
                for descriptor in privileged.kept:
                    self._unlock(descriptor)

        privileged.hanging += 1
        Run.scheduler.spawn(f"hangs: {words}", self._process, come_back)
        Run.scheduler.block(lambda: bool(results))
        if isinstance(results[0], OSError):
            raise results[0]
        return results[0]

    def _os_listdir(self, path: Any) -> list[str]:
        _look("EIO")
        return super()._os_listdir(path)

    def _os_open(self, path: Any, flags: int, mode: int = 0o777) -> int:
        _look(*(() if _is_sure(path) else ("EIO",)))
        return super()._os_open(path, flags, mode)

    def _os_close(self, descriptor: int) -> None:
        if self._open.pop(descriptor, None) is None:
            return
        privileged = at_work()
        if privileged is not None and privileged.dead and privileged.hanging:
            privileged.kept.append(descriptor)
        else:
            self._unlock(descriptor)

    def _unlock(self, descriptor: int) -> None:
        for place in [one for one, its in self._locks.items() if its == descriptor]:
            del self._locks[place]


def _is_sure(path: Any) -> bool:
    """Say whether the kernel does what a file asks for, if it takes its time.

    It takes any depth of a queue (lio_target_nacl_cmdsn_depth_store()). If it did not,
    a host would be logged in while its disk is taken away.
    """
    return str(path).endswith("/cmdsn_depth")


def _look(*errors: str) -> None:
    """Let others come between, when a privileged process looks at something."""
    if at_work() is not None and Run.scheduler.step("looks", errors, _LOOK):
        refuse(errno.EIO)


class SimFcntl:
    """See :mod:`fcntl`, as ``privsep.turns`` uses it."""

    F_OFD_SETLK, F_OFD_GETLK = fcntl.F_OFD_SETLK, fcntl.F_OFD_GETLK
    F_WRLCK, F_UNLCK = fcntl.F_WRLCK, fcntl.F_UNLCK

    def __init__(self, of: Callable[[], SimMount | None]) -> None:
        self._of = of

    def fcntl(self, file: int, command: int, wish: bytes) -> bytes:
        """Take a lock, or look who has it."""
        mount = self._of()
        assert mount is not None
        return mount.lock(file, command, wish)
