# SPDX-License-Identifier: Apache-2.0
"""The metrics of requests: how many, what came of them, and how long they took."""

import contextlib
import re
import time
from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from taikun_cinder import exception

#: Outcomes that are no errors of ours: the request was done, or it failed by another
#: error, such as LVM's or the database's.
DONE, OTHER = "done", "other"

#: What an attach can be refused by, or fail with.
ATTACH_ERRORS = (
    exception.AttachmentGone,
    exception.AttachmentRefused,
    exception.FencesUnreadable,
    exception.GrantWithheld,
    exception.HostFenced,
    exception.HostFencedMeanwhile,
    exception.InitiatorTaken,
    exception.InvalidConnector,
    exception.InvalidExtraSpec,
    exception.InvalidInitiator,
    exception.InvalidMode,
    exception.LockRanOut,
    exception.LocksDown,
    exception.NotActivated,
    exception.RecordNotWritten,
    exception.StepFailed,
    exception.StepUnfinished,
    exception.TargetBusy,
    exception.TargetUnreadable,
    exception.VolumeMigrates,
    exception.VolumeMoved,
    exception.VolumeRowDamaged,
)

#: What a detach can fail with.
DETACH_ERRORS = (
    exception.FencesUnreadable,
    exception.LockRanOut,
    exception.LocksDown,
    exception.NotActivated,
    exception.RecordNotWritten,
    exception.StepFailed,
    exception.StepUnfinished,
    exception.TargetBusy,
    exception.TargetUnreadable,
    exception.UnknownInitiator,
    exception.VolumeMoved,
    exception.VolumeRowDamaged,
)

#: The durations that are told apart, by their upper bounds in seconds. A call of the
#: privileged process is given up after 30.
_BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


def outcome_of(error: type[Exception]) -> str:
    """Give the outcome that an error counts as: its name, if it is one of ours."""
    if error.__module__ != exception.__name__:
        return OTHER
    return re.sub(r"(?<!^)(?=[A-Z])", "_", error.__name__).lower()


class RequestMetrics:
    """The metrics of the requests of one kind.

    Args:
        what: the kind, ``attach`` or ``detach``.
        errors: of ours, that such a request can end with.
        registry: gets the metrics.
    """

    def __init__(
        self, what: str, errors: Iterable[type[Exception]], registry: CollectorRegistry
    ) -> None:
        self._outcomes = Counter(
            f"taikun_cinder_{what}es_total",
            f"Requests to {what} a host, by what came of them.",
            ["outcome"],
            registry=registry,
        )
        for outcome in (DONE, *map(outcome_of, errors), OTHER):
            self._outcomes.labels(outcome)
        self._seconds = Histogram(
            f"taikun_cinder_{what}_duration_seconds",
            f"How long requests to {what} a host took that were done, with the wait "
            "for the lock of the volume.",
            buckets=_BOUNDS,
            registry=registry,
        )
        self._under_way = Gauge(
            f"taikun_cinder_{what}es_in_progress",
            f"Requests to {what} a host that have not been answered yet.",
            registry=registry,
        )
        #: When each that has not been answered yet began. What is done to it is one
        #: operation of the interpreter each, so it needs no lock.
        self._waiting: dict[object, float] = {}
        Gauge(
            f"taikun_cinder_oldest_{what}_age_seconds",
            f"How long the oldest request to {what} a host has not been answered; 0 if "
            "all have been.",
            registry=registry,
        ).set_function(self._age)

    def _age(self) -> float:
        now = time.monotonic()
        return now - min(tuple(self._waiting.values()), default=now)

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        """Count the request of the block."""
        began, one = time.monotonic(), object()
        self._waiting[one] = began
        with self._under_way.track_inprogress():
            try:
                yield
            except Exception as error:
                self.fail(error)
                raise
            finally:
                del self._waiting[one]
        self._seconds.observe(time.monotonic() - began)
        self._outcomes.labels(DONE).inc()

    def fail(self, error: Exception) -> None:
        """Count a request that ended with an error."""
        self._outcomes.labels(outcome_of(type(error))).inc()
