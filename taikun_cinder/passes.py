# SPDX-License-Identifier: Apache-2.0
"""The account of one pass of the reconcile: what it saw, did and had to leave.

Metrics and reports are made of it. There is no secret in it.
"""

import dataclasses
import time
from collections import Counter
from collections.abc import Iterable, Mapping

from taikun_cinder.access.model import Export, Mode
from taikun_cinder.brake import Held
from taikun_cinder.targets.base import Result


@dataclasses.dataclass(frozen=True)
class Access:
    """One host's access to one volume.

    Attributes:
        initiator: the host's.
        mode: what the host may do with the volume.
        connected: whether it was logged in.
    """

    initiator: str
    mode: Mode
    connected: bool


class Pass:
    """The account of one pass, from now on.

    Args:
        before: the accesses that the pass before saw.

    Attributes:
        began: when, in seconds since 1970.
        seconds: that it took; None as long as it goes on.
        volumes: how many the back end has.
        trusted: whether the database had the row of this service.
        accesses: to the volumes that are exported, by volume. Those of a volume that
            failed are as they were before.
        put_right: how many differences were put right, by their kind.
        failed: the volumes that could not be looked at or put right.
        busy: of these, what the kernel has not come back from, in words.
        held: what the brake has left undone.
    """

    def __init__(self, before: Mapping[str, tuple[Access, ...]] | None = None) -> None:
        self._before = before or {}
        self.began = time.time()
        self.seconds: float | None = None
        self.volumes = 0
        self.trusted = True
        self.accesses: dict[str, tuple[Access, ...]] = {}
        self.put_right: Counter[str] = Counter()
        self.failed: set[str] = set()
        self.busy: dict[str, str] = {}
        self.held = Held()
        self._since = time.monotonic()
        self._left: dict[str, Counter[str]] = {}

    def see(self, volume_id: str, export: Export | None, result: Result) -> None:
        """Take note of a volume, after it was looked at."""
        self.correct(result.put_right)
        self._left[volume_id] = Counter(finding.kind for finding in result.left)
        grants = export.grants if export else ()
        self.accesses.pop(volume_id, None)
        if grants:
            self.accesses[volume_id] = tuple(
                Access(
                    str(grant.initiator),
                    grant.mode or Mode.RO,
                    grant.initiator in result.connected,
                )
                for grant in sorted(grants, key=lambda grant: grant.initiator)
            )

    def correct(self, kinds: Iterable[str]) -> None:
        """Take note of differences that were put right, by their kinds."""
        self.put_right.update(kinds)

    def fail(self, volume_id: str, busy: str | None = None) -> None:
        """Take note of a volume that could not be put right.

        Args:
            volume_id: the volume.
            busy: what the kernel has not come back from; None for another cause.
        """
        self.failed.add(volume_id)
        if volume_id in self._before:
            self.accesses[volume_id] = self._before[volume_id]
        if busy is not None:
            self.busy[volume_id] = busy

    def end(self, held: Held) -> None:
        """End it."""
        self.held = held
        self._before = {}
        self.seconds = time.monotonic() - self._since

    @property
    def left(self) -> Mapping[str, int]:
        """How many differences had to be left, by their kind."""
        return sum(self._left.values(), Counter())

    @property
    def shared(self) -> int:
        """How many volumes several hosts have."""
        return sum(len(hosts) > 1 for hosts in self.accesses.values())

    @property
    def hosts(self) -> int:
        """How many hosts have a volume."""
        every = (host.initiator for hosts in self.accesses.values() for host in hosts)
        return len(set(every))

    def count(self, mode: Mode, *, connected: bool = False) -> int:
        """Count the accesses of a mode; only those of hosts that are logged in, or all.

        A host with two servers has one access to a volume, and one session.
        """
        return sum(
            access.mode is mode and (access.connected or not connected)
            for hosts in self.accesses.values()
            for access in hosts
        )
