# SPDX-License-Identifier: Apache-2.0
"""The metrics of the reconcile: its passes, and what the last one saw."""

from collections.abc import Collection

from prometheus_client import CollectorRegistry, Counter, Gauge

from taikun_cinder.access.model import Mode
from taikun_cinder.brake import Reason
from taikun_cinder.passes import Pass

_DONE, _FAILED = "done", "failed"


class PassMetrics:
    """The metrics of all passes: counters, and when the last one ended.

    Args:
        registry: gets the metrics.
        interval: the pause between two passes, in seconds; 0 for none.
        kinds: the kinds of findings that there can be.
    """

    def __init__(
        self, registry: CollectorRegistry, interval: float, kinds: Collection[str]
    ) -> None:
        Gauge(
            "taikun_cinder_reconcile_interval_seconds",
            "The pause between two passes; 0 if there is none but the one at the "
            "start.",
            registry=registry,
        ).set(interval)
        self._passes = Counter(
            "taikun_cinder_reconcile_passes_total",
            "Passes of the reconcile, by what came of them.",
            ["outcome"],
            registry=registry,
        )
        for outcome in (_DONE, _FAILED):
            self._passes.labels(outcome)
        self._corrections = Counter(
            "taikun_cinder_reconcile_corrections_total",
            "Differences of the kernel from Cinder's attachments that passes put "
            "right, by their kind.",
            ["kind"],
            registry=registry,
        )
        for kind in kinds:
            self._corrections.labels(kind)
        self._ended = Gauge(
            "taikun_cinder_reconcile_last_pass_timestamp_seconds",
            "When the last pass that was done ended, in seconds since 1970; 0 if none "
            "was.",
            registry=registry,
        )

    def count(self, ended: Pass | None) -> None:
        """Count a pass; None is one that failed as a whole."""
        if ended is None:
            self._passes.labels(_FAILED).inc()
            return
        self._passes.labels(_DONE).inc()
        self._ended.set(ended.began + (ended.seconds or 0))
        for kind, number in ended.put_right.items():
            self._corrections.labels(kind).inc(number)


class LastPassMetrics:
    """What the last pass saw, and had to leave.

    Args:
        registry: gets the metrics.
        kinds: the kinds of findings that there can be.
    """

    def __init__(self, registry: CollectorRegistry, kinds: Collection[str]) -> None:
        self._registry = registry
        self._kinds = kinds
        self._seconds = self._gauge(
            "reconcile_last_pass_duration_seconds", "How long the last pass took."
        )
        self._failed = self._gauge(
            "reconcile_failed_volumes",
            "Volumes that the last pass could not look at or put right, those of busy "
            "targets included.",
        )
        self._busy = self._gauge(
            "reconcile_busy_targets",
            "Targets that the kernel had not come back from in the last pass.",
        )
        self._known = self._gauge(
            "reconcile_database_known",
            "Whether the database had the row of this service in the last pass.",
        )
        self._faults = self._gauge(
            "reconcile_faults",
            "Differences that the last pass had to leave as they are, by their kind.",
            "kind",
        )
        self._held = self._gauge(
            "brake_held_accesses",
            "Accesses of hosts that are logged in and have no attachment in the "
            "database, and that the last pass did not end, by the reason.",
            "reason",
        )
        self._volumes = self._gauge(
            "volumes", "Volumes of the back end in Cinder's database."
        )
        self._exported = self._gauge(
            "exported_volumes", "Volumes that at least one host can reach."
        )
        self._shared = self._gauge(
            "shared_volumes", "Volumes that at least two hosts can reach."
        )
        self._hosts = self._gauge("hosts", "Hosts that can reach a volume.")
        self._accesses = self._gauge(
            "accesses",
            "Accesses, each of one host to one volume, by what the host may do.",
            "mode",
        )
        self._sessions = self._gauge(
            "sessions",
            "Accesses whose host is logged in, by what the host may do.",
            "mode",
        )

    def _gauge(self, name: str, words: str, *labels: str) -> Gauge:
        name = f"taikun_cinder_{name}"
        return Gauge(name, words, labels, registry=self._registry)

    def show(self, ended: Pass) -> None:
        """Show a pass that was done."""
        self._seconds.set(ended.seconds or 0)
        self._failed.set(len(ended.failed))
        self._busy.set(len(ended.busy))
        self._known.set(ended.trusted)
        for kind in self._kinds:
            self._faults.labels(kind).set(ended.left.get(kind, 0))
        for reason in Reason:
            held = len(ended.held.revocations) if reason is ended.held.reason else 0
            self._held.labels(reason).set(held)
        self._volumes.set(ended.volumes)
        self._exported.set(len(ended.accesses))
        self._shared.set(ended.shared)
        self._hosts.set(ended.hosts)
        for mode in Mode:
            self._accesses.labels(mode.value).set(ended.count(mode))
            self._sessions.labels(mode.value).set(ended.count(mode, connected=True))
