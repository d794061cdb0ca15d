# SPDX-License-Identifier: Apache-2.0
"""Runs all checks, each in a thread of its own, and gives what they find."""

import dataclasses
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from taikun_cinder import words
from taikun_cinder.checks import catalogue
from taikun_cinder.checks.check import Check, Look
from taikun_cinder.checks.facts import Facts, Unanswered, run_as
from taikun_cinder.checks.findings import Finding, Outcome, failed, unknown
from taikun_cinder.cli.backends import Backend
from taikun_cinder.node import Node
from taikun_cinder.targets.looks import Unseen


@dataclasses.dataclass(frozen=True)
class Result:
    """A finding of a check, as it is shown.

    Attributes:
        backend: the names of the back ends that it is about; empty for the node.
        check: the name of the check.
        outcome: how it is.
        found: what there is.
        cure: what to do; empty if there is nothing to do.
    """

    backend: str
    check: str
    outcome: Outcome
    found: str
    cure: str


def results(
    backends: Sequence[Backend],
    node: Node | None = None,
    begin: Callable[[str], object] = lambda check: None,
) -> Iterator[Result]:
    """Look at everything, and give each result as soon as it is known.

    Nothing is changed, and nothing is raised: what cannot be looked at is a result.
    A check that takes too long is left alone, in a thread that ends with the process.

    Args:
        backends: of this node.
        node: it; None for the one that this runs on.
        begin: is told the name of each check before it is made.
    """
    facts = Facts(backends, node or Node())
    for check in catalogue.CHECKS:
        begin(check.name)
        # What is the same for several back ends is told once.
        told: dict[Finding, list[str]] = {}
        for name, look in check.looks(facts):
            for finding in _findings(check, facts, look):
                told.setdefault(finding, []).append(name)
        for finding, names in told.items():
            yield Result(
                ", ".join(dict.fromkeys(names)),
                check.name,
                finding.outcome,
                words.printable(finding.found),
                words.printable(finding.cure),
            )


def _findings(check: Check, facts: Facts, look: Look) -> Iterator[Finding]:
    if check.as_service and (user := facts.other_user):
        yield unknown(f"Not looked at, since only user {user} can tell", run_as(user))
        return
    told: queue.SimpleQueue[Finding | None] = queue.SimpleQueue()
    threading.Thread(
        name=f"check-{check.name}", target=_tell, args=(look, told.put), daemon=True
    ).start()
    until = time.monotonic() + check.seconds
    while True:
        try:
            finding = told.get(timeout=max(until - time.monotonic(), 0))
        except queue.Empty:
            yield failed(f"No answer after {check.seconds:.0f} s", check.late)
            return
        if finding is None:
            return
        yield finding


def _tell(look: Look, tell: Callable[[Finding | None], object]) -> None:
    try:
        for finding in look():
            tell(finding)
    except Unanswered as unanswered:
        tell(unknown(f"Not looked at: see {unanswered.told_by}"))
    except Unseen as unseen:
        tell(unknown(unseen.found, unseen.cure))
    except Exception as error:
        tell(unknown(f"It could not be looked at: {words.of_error(error)}"))
    finally:
        tell(None)
