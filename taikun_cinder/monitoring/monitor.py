# SPDX-License-Identifier: Apache-2.0
"""What the driver tells of its requests and passes, for metrics and reports."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from taikun_cinder import connectors, current, waits
from taikun_cinder.monitoring import report
from taikun_cinder.monitoring.metrics import Metrics
from taikun_cinder.monitoring.textfile import Textfile
from taikun_cinder.passes import Pass
from taikun_cinder.reconcile import Reconcile
from taikun_cinder.targets.base import Target


class Monitor:
    """Takes note of what one back end does.

    It keeps nobody waiting, and no fault of it is the driver's.

    Args:
        backend: the back end's name in Cinder's database, as ``node@backend``.
        target: what exports its volumes.
        configuration: its section of cinder.conf.
    """

    def __init__(self, backend: str, target: Target, configuration: Any) -> None:
        self._backend = backend
        self._started = False
        self._target = target
        self._metrics = Metrics(
            backend, target.kinds, configuration.taikun_reconcile_interval
        )
        folder = configuration.taikun_metrics_folder
        self._file = (
            Textfile(Path(folder), backend, self._metrics.text) if folder else None
        )

    def start(self, reconcile: Reconcile) -> None:
        """Begin to tell; it is no harm to ask for it twice.

        Args:
            reconcile: the back end's.
        """
        if self._started:
            return
        self._started = True
        self._metrics.start(lambda: len(reconcile.shared.endangered))
        report.register(self._backend, self._target, reconcile)
        if self._file:
            self._file.start()

    def stop(self) -> None:
        """Write no metrics any more."""
        if self._file:
            self._file.stop()

    def initialize(self) -> None:
        """Take note that the driver serves requests by now."""
        self._metrics.initialize()

    def end_pass(self, ended: Pass | None) -> None:
        """Take note of a pass of the reconcile; of one that failed, if it is None."""
        self._metrics.end_pass(ended)

    def refuse(self, error: Exception) -> None:
        """Take note of an attach that was refused before it began."""
        self._metrics.attach.fail(error)

    @contextlib.contextmanager
    def attach(
        self, volume: Any, connector: Mapping[str, Any] | None
    ) -> Iterator[None]:
        """Take note of the attach that the block is."""
        with self._noted("attaches", volume, connector), self._metrics.attach.counted():
            yield

    @contextlib.contextmanager
    def detach(
        self, volume: Any, connector: Mapping[str, Any] | None
    ) -> Iterator[None]:
        """Take note of the detach that the block is."""
        with self._noted("detaches", volume, connector), self._metrics.detach.counted():
            yield

    @staticmethod
    def _noted(
        does: str, volume: Any, connector: Mapping[str, Any] | None
    ) -> contextlib.AbstractContextManager[object]:
        host = "all hosts" if connector is None else connectors.host_of(connector)
        request = current.request_id()
        number = f", {request}" if request else ""
        return waits.noted(f"{does} volume {volume['id']}, host: {host}{number}")
