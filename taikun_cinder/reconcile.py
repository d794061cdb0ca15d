# SPDX-License-Identifier: Apache-2.0
"""The periodic reconcile, which puts right what no call of Cinder's puts right.

A request that was killed half way, an edit by hand, a volume in a status that Cinder
does not export anew at its start: at the latest after one interval the kernel agrees
with Cinder's attachments again.
"""

import threading
import time
from collections.abc import Callable, Container, Iterable
from typing import Any

from oslo_log import log as logging

from taikun_cinder.exception import StepUnfinished, TargetBusy
from taikun_cinder.exports import Exports
from taikun_cinder.progress import Progress

LOG = logging.getLogger(__name__)

#: Volumes in these statuses are being made or removed by another request.
_NOT_OURS = ("creating", "deleting", "downloading", "unmanaging", "managing")

#: How long Cinder may need to write a connection down, in seconds: it takes a moment as
#: a rule, and an os-attach by hand longer.
_PATIENCE = 60.0

#: The shortest and the longest pause between two looks for it, in seconds.
_PAUSES = 0.02, 1.0

#: How many times as long as a look the pause before the next one is, at least.
_SHARE = 5


class Reconcile:
    """The periodic reconcile of one back end.

    Args:
        exports: the back end's.
        volumes: lists the back end's volumes.
        attached: gives the ids of those that have an attachment.
    """

    def __init__(
        self,
        exports: Exports,
        volumes: Callable[[], Iterable[Any]],
        attached: Callable[[], Container[str]],
    ) -> None:
        self._exports = exports
        self._volumes = volumes
        self._attached = attached
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
        for thread in tuple(self._threads):
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
            if self._stopped.is_set():
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
            except (TargetBusy, StepUnfinished) as error:
                LOG.warning("Volume %s: %s", volume["id"], error.msg)
                hidden = frozenset()
            except Exception:
                LOG.exception(
                    "The export of volume %s could not be made to agree with its "
                    "attachments; the next reconcile tries again",
                    volume["id"],
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

    def once(self) -> None:
        """Put right every volume that is exported, or should be."""
        ours = self.volumes()
        group = self._exports.layout.group
        progress = Progress(f"Exports of {group} are compared with attachments")
        busy = []
        for volume in ours:
            try:
                self._ensure(volume)
            except (TargetBusy, StepUnfinished) as error:
                busy.append(f"volume {volume['id']}: {error.msg}")
            progress.step(lambda: len(ours))
        progress.end()
        if busy:
            LOG.warning(
                "%d exports of %s are left until the next reconcile, since the kernel "
                "has not come back from them. %s",
                len(busy),
                group,
                " ".join(busy),
            )

    def volumes(self) -> list[Any]:
        """List the volumes of a pass: those that are exported, or should be."""
        layout = self._exports.layout
        exported = self._exports.target.names(layout.prefix)
        attached = self._attached()
        return [
            volume
            for volume in self._volumes()
            if volume["status"] not in _NOT_OURS
            and (
                volume["id"] in attached
                or layout.target(volume) in exported
                or self._exports.expects(volume)
            )
        ]

    def _ensure(self, volume: Any) -> None:
        try:
            self._exports.ensure(volume, sweep=self._interval, search=True)
        except (TargetBusy, StepUnfinished):
            raise
        except Exception:
            LOG.exception(
                "The export of volume %s could not be put right; the next reconcile "
                "tries again",
                volume["id"],
            )

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self.once()
            except Exception:
                LOG.exception("A reconcile failed; the next one tries again")
            if not self._interval:
                return
            self._stopped.wait(self._interval)
