# SPDX-License-Identifier: Apache-2.0
"""Puts right, again and again, what no call of Cinder's puts right.

A request that was killed half way, an edit by hand, a volume in a status that Cinder
does not export anew at its start: at the latest after one interval the kernel agrees
with Cinder's attachments again.
"""

import threading
from collections.abc import Callable, Iterable
from typing import Any

import tenacity
from oslo_log import log as logging

from taikun_cinder.exports import Exports

LOG = logging.getLogger(__name__)

#: Volumes in these are being made or removed: they are left to who does it.
_NOT_OURS = ("creating", "deleting", "downloading", "unmanaging", "managing")

#: How to wait for Cinder to write a connection down: it takes a moment as a rule, and
#: an os-attach by hand longer.
_PATIENCE = tenacity.Retrying(
    retry=tenacity.retry_if_result(lambda shown: not shown),
    wait=tenacity.wait_exponential(multiplier=0.02, exp_base=1.5, max=1),
    stop=tenacity.stop_after_delay(60),
)


class Reconcile:
    """The periodic reconcile of one back end.

    Args:
        exports: the back end's.
        volumes: lists the back end's volumes.
    """

    def __init__(self, exports: Exports, volumes: Callable[[], Iterable[Any]]) -> None:
        self._exports = exports
        self._volumes = volumes
        self._interval: float = 0
        self._thread: threading.Thread | None = None

    def start(self, interval: float) -> None:
        """Reconcile now, and then every ``interval`` seconds; only now if it is 0.

        At its start Cinder exports only volumes anew that are exactly ``in-use``.
        """
        self._interval = interval
        if self._thread is None:
            # A thread of Python's own: a green one where Cinder has monkey patched.
            self._thread = threading.Thread(
                target=self._run, name="taikun-reconcile", daemon=True
            )
            self._thread.start()

    def join(self) -> None:
        """Wait for the only pass of a reconcile that was started with 0."""
        if self._thread is not None:
            self._thread.join()

    def follow(self, volume: Any, identity: str) -> None:
        """Look at a volume until its rows show a new connection, or for a minute.

        What its host may do can depend on what Cinder writes after it was answered.
        """
        threading.Thread(
            target=self._until_shown,
            args=(volume, identity),
            name=f"taikun-follow-{volume['id']}",
            daemon=True,
        ).start()

    def _until_shown(self, volume: Any, identity: str) -> None:
        try:
            _PATIENCE(self._exports.follow, volume, identity)
        except tenacity.RetryError:
            LOG.debug("Nothing shows %s of volume %s", identity, volume["id"])
        except Exception:
            LOG.exception(
                "The export of volume %s could not follow its attachments; the next "
                "reconcile tries again",
                volume["id"],
            )

    def once(self) -> None:
        """Put every volume right that is exported, or should be."""
        layout = self._exports.layout
        exported = self._exports.target.names(layout.prefix)
        for volume in self._volumes():
            if volume["status"] in _NOT_OURS:
                continue
            known = layout.target(volume) in exported or self._exports.expects(volume)
            if known or volume.volume_attachment:
                self._one(volume)

    def _one(self, volume: Any) -> None:
        try:
            self._exports.settle(volume, sweep=self._interval)
        except Exception:
            LOG.exception(
                "The export of volume %s could not be put right; the next reconcile "
                "tries again",
                volume["id"],
            )

    def _run(self) -> None:
        pause = threading.Event()
        while True:
            try:
                self.once()
            except Exception:
                LOG.exception("A reconcile failed; the next one tries again")
            if not self._interval:
                return
            pause.wait(self._interval)
