# SPDX-License-Identifier: Apache-2.0
"""The metrics of one back end.

A label has few values, all known beforehand: none is a volume, a host or a server. So
every counter is there from the start, at 0, and its first step can be seen.
"""

import functools
import platform
from collections.abc import Callable, Collection, Iterator
from typing import Any

from cinder import version as cinder_version
from prometheus_client import CollectorRegistry, Gauge, Info, generate_latest
from prometheus_client.registry import Collector

from taikun_cinder import version
from taikun_cinder.monitoring.pass_metrics import LastPassMetrics, PassMetrics
from taikun_cinder.monitoring.request_metrics import (
    ATTACH_ERRORS,
    DETACH_ERRORS,
    RequestMetrics,
)
from taikun_cinder.passes import Pass


class Metrics:
    """The metrics of one back end.

    Args:
        backend: its name in Cinder's database, as ``node@backend``. Every metric has it
            as a label.
        kinds: the kinds of findings that its target can have.
        interval: of its reconcile, in seconds; 0 for none.

    Attributes:
        attach: of attaches.
        detach: of detaches.
    """

    def __init__(self, backend: str, kinds: Collection[str], interval: float) -> None:
        always = CollectorRegistry()
        self._shown = _OfBackend(backend, always)
        self.attach = RequestMetrics("attach", ATTACH_ERRORS, always)
        self.detach = RequestMetrics("detach", DETACH_ERRORS, always)
        self._passes = PassMetrics(always, interval, kinds)
        # Shown from the first pass on: a start would look like the loss of all hosts.
        self._of_last_pass = CollectorRegistry()
        self._last_pass = LastPassMetrics(self._of_last_pass, kinds)
        Info(
            "taikun_cinder_build",
            "The versions of the driver, of Cinder and of the running kernel.",
            registry=always,
        ).info(_build())
        self._started = Gauge(
            "taikun_cinder_start_time_seconds",
            "When the service began, in seconds since 1970. Its counters began at 0.",
            registry=always,
        )
        self._initialized = Gauge(
            "taikun_cinder_initialized",
            "Whether the driver has started and serves requests.",
            registry=always,
        )
        self._endangered = Gauge(
            "taikun_cinder_endangered_volumes",
            "Volumes that several servers may write to, though what is on them is for "
            "one, as far as the guard of file systems has looked.",
            registry=always,
        )
        self._written = Gauge(
            "taikun_cinder_metrics_timestamp_seconds",
            "When these metrics were written, in seconds since 1970.",
            registry=always,
        )

    def text(self) -> bytes:
        """Give all of them in Prometheus' text format, as of now."""
        self._written.set_to_current_time()
        return bytes(generate_latest(self._shown))

    def start(self, endangered: Callable[[], int]) -> None:
        """Take note of the start of the service.

        Args:
            endangered: counts the volumes in danger; it is asked at each look.
        """
        self._started.set_to_current_time()
        self._endangered.set_function(endangered)

    def initialize(self) -> None:
        """Take note that the driver serves requests by now."""
        self._initialized.set(1)

    def end_pass(self, ended: Pass | None) -> None:
        """Take note of a pass of the reconcile; None is one that failed as a whole."""
        self._passes.count(ended)
        if ended is not None:
            self._last_pass.show(ended)
            self._shown.registries = (*self._shown.registries[:1], self._of_last_pass)


class _OfBackend(Collector):
    """All metrics of some registries with the back end's name as a label.

    Without those that tell when each counter was made: the start of the service does.
    """

    def __init__(self, backend: str, *registries: CollectorRegistry) -> None:
        self.registries = registries
        self._labels = {"backend": backend}

    def collect(self) -> Iterator[Any]:
        """Give them, as prometheus_client asks for them."""
        for registry in self.registries:
            for family in registry.collect():
                family.samples = [
                    sample._replace(labels=self._labels | sample.labels)
                    for sample in family.samples
                    if not sample.name.endswith("_created")
                ]
                yield family


@functools.cache
def _build() -> dict[str, str]:
    return {
        "version": version.text(),
        "cinder": cinder_version.version_string(),
        "kernel": platform.release(),
    }
