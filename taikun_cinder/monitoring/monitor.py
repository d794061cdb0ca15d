# SPDX-License-Identifier: Apache-2.0
"""What the driver tells of its requests, for reports."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from oslo_context import context

from taikun_cinder import connectors, waits
from taikun_cinder.monitoring import report
from taikun_cinder.reconcile import Reconcile
from taikun_cinder.targets.base import Target


class Monitor:
    """Takes note of what one back end does.

    It keeps nobody waiting, and no fault of it is the driver's.

    Args:
        backend: the back end's name in Cinder's database, as ``node@backend``.
        target: what exports its volumes.
    """

    def __init__(self, backend: str, target: Target) -> None:
        self._backend = backend
        self._target = target

    def start(self, reconcile: Reconcile) -> None:
        """Begin to tell; it is no harm to ask for it twice.

        Args:
            reconcile: the back end's.
        """
        report.register(self._backend, self._target, reconcile)

    @contextlib.contextmanager
    def attach(
        self, volume: Any, connector: Mapping[str, Any] | None
    ) -> Iterator[None]:
        """Take note of the attach that the block is."""
        with self._noted("attaches", volume, connector):
            yield

    @contextlib.contextmanager
    def detach(
        self, volume: Any, connector: Mapping[str, Any] | None
    ) -> Iterator[None]:
        """Take note of the detach that the block is."""
        with self._noted("detaches", volume, connector):
            yield

    @staticmethod
    def _noted(
        does: str, volume: Any, connector: Mapping[str, Any] | None
    ) -> contextlib.AbstractContextManager[object]:
        host = "all hosts" if connector is None else connectors.host_of(connector)
        request = context.get_current()  # as oslo.log has it in its lines
        number = f", {request.request_id}" if request else ""
        return waits.noted(f"{does} volume {volume['id']}, host: {host}{number}")
