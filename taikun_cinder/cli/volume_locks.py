# SPDX-License-Identifier: Apache-2.0
"""The locks of volumes, for verbs that go on without them where they must."""

import contextlib
from collections.abc import Iterator

from cinder import coordination
from oslo_log import log as logging

from taikun_cinder import locks

LOG = logging.getLogger(__name__)


class VolumeLocks:
    """The locks of volumes; without any where the coordination back end is down.

    Args:
        coordinator: gives them.
        doing: what is done then without them, in words.
    """

    def __init__(self, coordinator: coordination.Coordinator, doing: str) -> None:
        self._coordinator = coordinator
        self._doing = doing

    @contextlib.contextmanager
    def started(self) -> Iterator[None]:
        """Have them meanwhile, if they can be had."""
        try:
            self._coordinator.start()
        except Exception as error:
            LOG.warning(
                "The coordination back end cannot be reached (%s). %s without its "
                "locks, so cinder-volume must not run yet.",
                type(error).__name__,
                self._doing,
            )
        try:
            yield
        finally:
            self._coordinator.stop()

    def of(self, name_id: str) -> contextlib.AbstractContextManager[object]:
        """Give the lock of a volume."""
        if not self._coordinator.started:
            return contextlib.nullcontext()
        lock: contextlib.AbstractContextManager[object] = self._coordinator.get_lock(
            locks.name(name_id)
        )
        return lock
