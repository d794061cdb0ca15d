# SPDX-License-Identifier: Apache-2.0
"""The check of the clock, by which Cinder tells whether a service lives."""

from collections.abc import Iterator

from oslo_config import cfg

from taikun_cinder.checks import timex
from taikun_cinder.checks.check import NodeCheck
from taikun_cinder.checks.facts import Facts, Unanswered
from taikun_cinder.checks.findings import Finding, failed, ok, unknown, warning

#: How far two clocks may be apart, in seconds.
_APART = 2


def _clock(facts: Facts) -> Iterator[Finding]:
    ahead = _ahead(facts)
    kept = timex.synchronised()
    found = [*_apart(ahead), *_kept(kept)]
    yield from found or [_fine(ahead, kept=kept)]


def _ahead(facts: Facts) -> float | None:
    try:
        return facts.database.get().ahead
    except Unanswered:
        return None


def _fine(ahead: float | None, *, kept: bool | None) -> Finding:
    if ahead is None and not kept:
        return unknown(
            "Neither the kernel nor the database's server tells of the clock",
            "See chronyc tracking or timedatectl (in a container, on its host).",
        )
    said = "It is synchronised" if kept else "The kernel does not tell of it"
    if ahead is None:
        return ok(said)
    return ok(
        f"{said}, and {abs(ahead) * 1000:.0f} ms from that of the database's server"
    )


def _apart(ahead: float | None) -> Iterator[Finding]:
    if ahead is None or abs(ahead) <= _APART:
        return
    patience = cfg.CONF.service_down_time - cfg.CONF.report_interval
    kind = failed if abs(ahead) >= patience else warning
    yield kind(
        f"The clock of this node is {abs(ahead):.0f} s "
        f"{'behind' if ahead > 0 else 'ahead of'} that of the database's server. From "
        f"{patience} s on Cinder takes a service for down that is up, or the other way "
        "round (service_down_time)",
        "Synchronise both by NTP. chronyc tracking or timedatectl shows whether it "
        "works.",
    )


def _kept(kept: bool | None) -> Iterator[Finding]:
    if kept is False:
        yield warning(
            "The kernel says that nobody synchronises its clock",
            "Run chronyd or another NTP client on this node (in a container, on its "
            "host); chronyc tracking or timedatectl shows whether it works. chronyd "
            "tells the kernel of it with rtcsync in chrony.conf.",
        )


CHECKS = (
    NodeCheck(
        "clock",
        "The clock is synchronised, and agrees with that of the database's server: by "
        "the clocks Cinder tells whether a service is up.",
        _clock,
    ),
)
