# SPDX-License-Identifier: Apache-2.0
"""The periodic reconcile, which puts right what no call of Cinder's puts right.

A request that was killed half way, an edit by hand, a volume in a status that Cinder
does not export anew at its start: at the latest after one interval the kernel agrees
with Cinder's attachments again.
"""

import functools
import threading
import time
from collections.abc import Callable, Container, Iterable, Iterator
from typing import Any

from cinder import coordination
from oslo_log import log as logging

from taikun_cinder import database
from taikun_cinder.access.contents import Look
from taikun_cinder.brake import Brake
from taikun_cinder.exception import (
    DatabaseUnknown,
    LocksDown,
    StepUnfinished,
    TargetBusy,
)
from taikun_cinder.exports import Exports
from taikun_cinder.passes import Pass
from taikun_cinder.progress import Progress
from taikun_cinder.shared_volumes import SharedVolumes

LOG = logging.getLogger(__name__)

#: Volumes in these statuses are being made or removed by another request.
_NOT_OURS = ("creating", "deleting", "downloading", "unmanaging", "managing")

#: How long Cinder may need to write a connection down, in seconds: it takes a moment as
#: a rule, and an os-attach by hand longer.
_PATIENCE = 60.0

#: The shortest and the longest pause between two looks for it, in seconds.
_PAUSES = 0.02, 1.0

#: How often it is looked whether the service ends, in seconds.
_LOOK = 1.0

#: How many times as long as a look the pause before the next one is, at least.
_SHARE = 5


class Reconcile:
    """The periodic reconcile of one back end.

    Args:
        exports: the back end's.
        volumes: lists the back end's volumes.
        attached: gives the ids of those that have an attachment.
        trusted: says whether the database knows at least this service.
        grace: how long Cinder may need to write down what was answered, in seconds.
        limit: how many live hosts a pass may cut off, see ``brake``.
        ended: is told each pass that has ended, and None if one has failed.
        is_guarded: says whether a volume, by its id, has a guard.

    Attributes:
        last: the last pass that has ended; None if there was none.
        current: the one under way; None if there is none.
        shared: the volumes that several servers may write to, and what is wrong with
            them.
    """

    def __init__(
        self,
        exports: Exports,
        volumes: Callable[[], Iterable[Any]],
        attached: Callable[[], Container[str]],
        trusted: Callable[[], bool] = lambda: True,
        grace: float = 120,
        limit: int = 3,
        ended: Callable[[Pass | None], None] = lambda _: None,
        is_guarded: Callable[[str], bool] = lambda volume_id: False,
    ) -> None:
        self._exports = exports
        self._volumes = volumes
        self._attached = attached
        self._trusted = trusted
        self._grace = grace
        self.brake = Brake(limit, trusted)
        self._told = ended
        self.last: Pass | None = None
        self.current: Pass | None = None
        self.shared = SharedVolumes(self._look_at, is_guarded)
        self._looking: threading.Thread | None = None
        self._interval: float = 0
        self._periodic: threading.Thread | None = None
        self._stopped = threading.Event()
        #: All threads that run, the watchers' too.
        self._threads: set[threading.Thread] = set()
        #: By volume, the connections that its rows do not show yet, and since when.
        self._awaited: dict[str, dict[str, float]] = {}
        self._guard = threading.Lock()

    def start(self, interval: float) -> None:
        """Reconcile now, and then every ``interval`` seconds; only now if it is 0.

        At its start Cinder exports only volumes anew that are exactly ``in-use``.
        """
        self._interval = interval
        if self._periodic is None:
            self._periodic = self._begin("taikun-reconcile", self._run)

    def join(self) -> None:
        """Wait for the only pass of a reconcile that was started with 0."""
        if self._periodic is not None:
            self._periodic.join()

    def stop(self) -> None:
        """Finish the pass under way, and start no other."""
        self._stopped.set()
        while threads := tuple(self._threads):  # one may begin another meanwhile
            for thread in threads:
                thread.join()

    def _begin(self, name: str, work: Callable[[], None]) -> threading.Thread:
        # A thread of Python's own: a green one where Cinder has monkey patched.
        thread = threading.Thread(
            target=lambda: self._work(work), name=name, daemon=True
        )
        self._threads.add(thread)
        thread.start()
        return thread

    def _work(self, work: Callable[[], None]) -> None:
        try:
            work()
        finally:
            self._threads.discard(threading.current_thread())

    def watch(self, volume: Any, identity: str) -> None:
        """Look at a volume until its rows show a new connection, or for a minute.

        What its host may do can depend on what Cinder writes after it was answered.
        One thread looks for all connections of a volume.
        """
        with self._guard:
            watched = volume["id"] in self._awaited
            awaited = self._awaited.setdefault(volume["id"], {})
            awaited[identity] = time.monotonic()
        if not watched:
            name = f"taikun-watch-{volume['id']}"
            self._begin(name, lambda: self._watch(volume, awaited))

    def _watch(self, volume: Any, awaited: dict[str, float]) -> None:
        took = 0.0
        while (since := self._youngest(volume["id"], awaited)) is not None:
            if self._ends():
                return
            shortest, longest = _PAUSES
            # Half of its age, so that each pause is half as long again. And where many
            # hosts come at once, their attaches need the time more than this does.
            pause = max((time.monotonic() - since) / 2, took * _SHARE)
            time.sleep(min(max(pause, shortest), longest))
            with self._guard:
                looked_for = set(awaited)
            began = time.monotonic()
            try:
                hidden = self._exports.refresh(volume)
            except (LocksDown, TargetBusy, StepUnfinished) as error:
                LOG.warning("Volume %s: %s", volume["id"], error.msg)
                hidden = frozenset()
            except Exception as error:
                database.tell(
                    error,
                    f"The export of volume {volume['id']} could not be made to agree "
                    "with its attachments; the next reconcile tries again",
                )
                hidden = frozenset()
            took = time.monotonic() - began
            with self._guard:
                for identity in looked_for - hidden:
                    del awaited[identity]

    def _youngest(self, volume_id: str, awaited: dict[str, float]) -> float | None:
        """Give the time of the newest awaited connection; None if there is none."""
        with self._guard:
            oldest = time.monotonic() - _PATIENCE
            for identity in [known for known, at in awaited.items() if at < oldest]:
                LOG.debug("Nothing shows %s of volume %s", identity, volume_id)
                del awaited[identity]
            if not awaited:
                del self._awaited[volume_id]
                return None
            return max(awaited.values())

    def once(self, *, confirmed: bool = False) -> int:
        """Put right every volume that is exported, or should be.

        Args:
            confirmed: whether an operator wants done what the brake holds back.

        Returns:
            how many could not be put right.

        Raises:
            DatabaseUnknown: it is confirmed, and the database is not the right one;
                nothing is changed.
        """
        if confirmed and not self.is_trusted():
            raise DatabaseUnknown
        before = self.last.accesses if self.last else None
        self.current = current = Pass(before)
        try:
            if self._pass(current, confirmed=confirmed):
                current.end(self.brake.held)
                self.last = current
                self._told(current)
        except Exception:
            self._told(None)
            raise
        finally:
            self.current = None
        return len(current.failed)

    def _pass(self, current: Pass, *, confirmed: bool) -> bool:
        """Make a pass; say whether it came to its end."""
        self.brake.begin(confirmed=confirmed)
        everything = list(self._volumes())
        current.volumes = len(everything)
        exported = self._exports.target.names("")
        ours = self._concerned(everything, exported)
        current.trusted = self._trusted()
        orphans = self._orphans(everything, exported, trusted=current.trusted)
        group = self._exports.layout.group
        former = self._exports.former(everything, exported)
        progress = Progress(f"Exports of {group} are compared with attachments")
        for work in self._works(current, ours, orphans, former):
            if self._ends():
                return False
            work()
            progress.step(lambda: len(ours) + len(orphans) + len(former))
        released = self.brake.end()
        again = [volume for volume in ours if volume["id"] in released]
        rest = [one for one in former if one[1]["id"] in released]
        for work in self._works(current, again, released & orphans, rest):
            work()
        self.shared.keep({volume["id"] for volume in ours})
        progress.end()
        if current.busy:
            LOG.warning(
                "%d exports of %s are left until the next reconcile, since the kernel "
                "has not come back from them. %s",
                len(current.busy),
                group,
                " ".join(f"volume {name}: {why}" for name, why in current.busy.items()),
            )
        return True

    def one(self, volume: Any) -> int:
        """Put one volume right, as an operator has confirmed.

        Returns:
            how many could not be put right.

        Raises:
            DatabaseUnknown: the database is not the right one; nothing is changed.
        """
        if not self.is_trusted():
            raise DatabaseUnknown
        self.brake.begin(confirmed=True)
        current = Pass()
        look = functools.partial(self._ensure, current, volume)
        self._guarded(current, volume["id"], look)
        return len(current.failed)

    def is_trusted(self) -> bool:
        """Say whether the database knows at least this service."""
        return self._trusted()

    def _concerned(
        self, everything: Iterable[Any], exported: Container[str]
    ) -> list[Any]:
        layout = self._exports.layout
        attached = self._attached()
        return [
            volume
            for volume in everything
            if volume["status"] not in _NOT_OURS
            and (
                volume["id"] in attached
                or layout.target(volume) in exported
                or self._exports.expects(volume)
            )
        ]

    def _orphans(
        self, everything: Iterable[Any], exported: Iterable[str], *, trusted: bool
    ) -> frozenset[str]:
        if not trusted:
            LOG.error(
                "The database does not have the row of this service, so nothing is "
                "removed that has no volume there. Look whether cinder-volume and "
                "cinder-api use the same database (connection in [database])."
            )
            return frozenset()
        return self._exports.orphans.find(exported, everything)

    def _works(
        self,
        current: Pass,
        volumes: Iterable[Any],
        orphans: Iterable[str],
        former: Iterable[tuple[str, Any]],
    ) -> Iterator[Callable[[], None]]:
        for volume in volumes:
            look = functools.partial(self._ensure, current, volume)
            yield functools.partial(self._guarded, current, volume["id"], look)
        for name_id in sorted(orphans):
            settle = functools.partial(self._settle, current, name_id)
            yield functools.partial(self._guarded, current, name_id, settle)
        for name, volume in former:
            end = functools.partial(self._end_former, current, volume, name)
            yield functools.partial(self._guarded, current, volume["id"], end)

    def _ensure(self, current: Pass, volume: Any) -> None:
        self._exports.ensure(
            volume,
            sweep=self._grace,
            search=True,
            hold=self.brake.hold,
            missed=self.brake.missed,
            seen=current.see,
            note=self.shared.note,
        )

    def _settle(self, current: Pass, name_id: str) -> None:
        current.correct(self._exports.orphans.settle(name_id, self.brake.hold))

    def _end_former(self, current: Pass, volume: Any, name: str) -> None:
        hold = self.brake.hold
        current.correct(self._exports.end_former(volume, name, hold))

    def _guarded(self, current: Pass, volume_id: str, work: Callable[[], None]) -> None:
        try:
            work()
        except (LocksDown, TargetBusy, StepUnfinished) as error:
            current.fail(volume_id, str(error.msg))
        except Exception as error:
            current.fail(volume_id)
            database.tell(
                error,
                f"The export of volume {volume_id} could not be put right; the next "
                "reconcile tries again",
            )

    def _ends(self) -> bool:
        """Say whether the service is being stopped: by then it gives no locks."""
        return self._stopped.is_set() or not coordination.COORDINATOR.started

    def _run(self) -> None:
        while not self._ends():
            try:
                self.once()
            except Exception as error:
                database.tell(error, "A reconcile failed; the next one tries again")
            self._look_beside()
            if not self._interval:
                return
            self._pause()

    def _look_beside(self) -> None:
        """Look at a few shared volumes; a disk that is slow holds up no pass."""
        at_work = self._looking is not None and self._looking.is_alive()
        if not at_work and self.shared.due():
            self._looking = self._begin("taikun-look", self._look)

    def _look(self) -> None:
        try:
            self.shared.look(self._ends)
        except Exception as error:
            database.tell(
                error, "Shared volumes could not be looked at; that is tried again"
            )

    def _look_at(self, volume: Any) -> Look:
        return self._exports.contents_of(volume)

    def _pause(self) -> None:
        """Wait for the next pass, or for the end of the service."""
        deadline = time.monotonic() + self._interval
        while not self._ends() and time.monotonic() < deadline:
            self._stopped.wait(_LOOK)
