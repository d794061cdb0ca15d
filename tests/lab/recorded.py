# SPDX-License-Identifier: Apache-2.0
"""Initiators of one host that write and read one volume, and are held to every answer.

What they did is judged as in the chaos runs: as what one disk would have done.
"""

import itertools
import time

from lab.node import Node
from lab.workdir import WorkFolder
from tests.chaos.checker import check
from tests.chaos.guest import worker
from tests.chaos.history import Access, History, Operation
from tests.chaos.logs import Clock, operations

#: How many sectors they share, from the disk's begin.
BLOCKS = 8
_WRITES, _PAUSE = 0.6, 0.05

_runs = itertools.count()

#: All run on the one node whose clock is used.
_CLOCK = Clock(0.0, 0.0)
_VOLUME = "the volume"


class Recorded:
    """Workers on a host, one for each disk that a volume has there.

    Args:
        host: the host.
        work: the lab's folder, where the workers' logs are.
        disks: the path of each disk, by a name for its attachment.
    """

    def __init__(self, host: Node, work: WorkFolder, disks: dict[str, str]) -> None:
        self._host = host
        self._folder = work.path / worker.FOLDER.name
        # A worker leaves its files, by which another one of its name would end at once.
        run = next(_runs)
        self._workers = {name: f"{name}-{run}" for name in disks}
        self._pids = {}
        for seed, (name, path) in enumerate(disks.items()):
            task = worker.Task(path, name, BLOCKS, _WRITES, _PAUSE, seed)
            begin = (worker.__name__, "begin", task, self._workers[name])
            self._pids[name] = host.call(*begin)

    def operations(self) -> list[Operation]:
        """Give what they have done so far, by the host's clock."""
        return [
            one
            for name, its in self._workers.items()
            for one in operations(self._folder / f"{its}.log", name, _VOLUME, _CLOCK)
        ]

    def wait_until_all_go_on(self, timeout: float) -> None:
        """Wait until each has got an answer to something that it began after now.

        Raises:
            TimeoutError: one has not.
        """
        now = self._host.call(worker.__name__, "clock")
        deadline = time.monotonic() + timeout
        waiting = set(self._pids)
        while waiting:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{sorted(waiting)} wait for the disk")
            waiting -= {
                one.attachment
                for one in self.operations()
                if one.acknowledged and one.invoked > now
            }
            time.sleep(0.2)

    def longest(self) -> float:
        """Give the longest time that an operation with an answer took, in seconds."""
        return max(
            one.completed - one.invoked for one in self.operations() if one.acknowledged
        )

    def end(self, patience: float) -> list[str]:
        """End them, and give all that one undisturbed disk would not have done.

        Args:
            patience: the longest that an operation may take, in seconds.
        """
        for name, pid in self._pids.items():
            self._host.call(worker.__name__, "end", pid, self._workers[name], 60)
        accesses = (Access(name, name, _VOLUME, writes=True) for name in self._pids)
        history = History(tuple(self.operations()), tuple(accesses), (), patience)
        return [str(one) for one in check(history)]
