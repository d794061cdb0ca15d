# SPDX-License-Identifier: Apache-2.0
"""The section of a back end in the Guru Meditation Report of cinder-volume.

The report is made in the handler of a signal, perhaps while the kernel hangs. So all of
this is from memory: no lock is taken, and nobody is asked.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime

from oslo_reports import guru_meditation_report

from taikun_cinder import version, waits, words
from taikun_cinder.passes import Access, Pass
from taikun_cinder.reconcile import Reconcile
from taikun_cinder.targets.base import Target

#: What makes the section of each back end of this process.
_sections: dict[str, Callable[[], str]] = {}


def register(backend: str, target: Target, reconcile: Reconcile) -> None:
    """Let reports have a section on a back end; a later one takes its place.

    Args:
        backend: its name in Cinder's database, as ``node@backend``.
        target: what exports its volumes.
        reconcile: its reconcile.
    """
    known = backend in _sections
    _sections[backend] = lambda: section(backend, target, reconcile)
    if not known:
        guru_meditation_report.TextGuruMeditation.register_section(
            f"taikun_cinder: {backend}", lambda: _guarded(_sections[backend])
        )


def _guarded(make: Callable[[], str]) -> str:
    """Make a section; a fault of it takes no other section with it."""
    try:
        return make()
    except Exception as error:
        return f"This section cannot be made: {words.of_error(error)}\n"


def section(backend: str, target: Target, reconcile: Reconcile) -> str:
    """Give the section's text; the arguments are those of :func:`register`."""
    return "".join(f"{line}\n" for line in _lines(backend, target, reconcile))


def _lines(backend: str, target: Target, reconcile: Reconcile) -> Iterator[str]:
    now = time.monotonic()
    yield f"Back end {backend}, taikun_cinder {version.text()}"
    yield from _listed(
        "What this process is at",
        (
            f"{_seconds(now - wait.since)}  {wait.what} ({wait.thread})"
            for wait in waits.present()
        ),
    )
    yield from _listed(
        "Calls to the kernel that have not come back",
        (f"{_seconds(seconds)}  {call}" for call, seconds in target.waiting()),
    )
    yield from _passes(reconcile)
    held = reconcile.brake.held
    reason = f", reason: {held.reason}" if held.revocations else ""
    yield from _listed(
        f"Accesses that the brake holds (taikun_max_revocations is "
        f"{reconcile.brake.limit}{reason})",
        map(str, held.revocations),
    )
    yield from _listed(
        "Volumes with several writers, though what is on them is for one",
        (
            f"volume {volume}: {it.found}, servers {', '.join(sorted(it.writers))}"
            for volume, it in sorted(reconcile.shared.endangered.items())
        ),
    )
    if reconcile.last is not None:
        yield from _seen(reconcile.last)


def _passes(reconcile: Reconcile) -> Iterator[str]:
    last, current = reconcile.last, reconcile.current
    yield ""
    if current is None:
        yield "No pass of the reconcile is under way."
    else:
        age = time.time() - current.began
        yield f"A pass of the reconcile is under way, for {age:.1f} s."
    if last is None:
        yield "No pass has been done yet."
        return
    yield (
        f"The last pass began at {datetime.fromtimestamp(last.began, UTC):%F %T} UTC "
        f"and took {last.seconds or 0:.1f} s: {last.volumes} volume(s), "
        f"{len(last.accesses)} exported, {len(last.failed)} failed, "
        f"{sum(last.put_right.values())} difference(s) put right, "
        f"{sum(last.left.values())} left."
    )
    if not last.trusted:
        yield "The database did not have the row of this service, so it is not trusted."


def _seen(last: Pass) -> Iterator[str]:
    failed = sorted(last.failed - last.busy.keys())
    yield from _listed(
        "Busy targets, by the last pass",
        (f"volume {volume}: {why}" for volume, why in last.busy.items()),
    )
    yield from _listed("Other volumes that failed, by the last pass", failed)
    yield from _listed(
        "Exports, by the last pass",
        (
            f"volume {volume}: {'; '.join(map(_access, accesses))}"
            for volume, accesses in sorted(last.accesses.items())
        ),
    )


def _access(access: Access) -> str:
    session = "logged in" if access.connected else "not logged in"
    return f"{access.initiator} {access.mode.value}, {session}"


def _listed(title: str, lines: Iterable[str]) -> Iterator[str]:
    yield ""
    yield f"{title}:"
    yield from (f"  {line}" for line in list(lines) or ["none"])


def _seconds(seconds: float) -> str:
    return f"{seconds:9.1f} s"
