# SPDX-License-Identifier: Apache-2.0
"""What a check finds: whether it is right, and what to do if it is not."""

import dataclasses
import enum
from collections.abc import Iterable, Iterator

from taikun_cinder.node import Problem


class Outcome(enum.Enum):
    """How something is."""

    #: It is as it should be.
    OK = "ok"
    #: It works, and something should be put right before it does not.
    WARNING = "warning"
    #: Something does not work.
    FAILED = "failed"
    #: It cannot be told from here.
    UNKNOWN = "unknown"


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that a check found.

    Attributes:
        outcome: how it is.
        found: what there is, in words, without a secret.
        cure: what to do; empty if there is nothing to do.
    """

    outcome: Outcome
    found: str
    cure: str = ""


def ok(found: str) -> Finding:
    """Give the finding that something is right."""
    return Finding(Outcome.OK, found)


def warning(found: str, cure: str) -> Finding:
    """Give the finding that something should be put right."""
    return Finding(Outcome.WARNING, found, cure)


def failed(found: str, cure: str) -> Finding:
    """Give the finding that something does not work."""
    return Finding(Outcome.FAILED, found, cure)


def unknown(found: str, cure: str = "") -> Finding:
    """Give the finding that something cannot be told from here."""
    return Finding(Outcome.UNKNOWN, found, cure)


def of_problems(problems: Iterable[Problem], fine: str) -> Iterator[Finding]:
    """Give the finding of each problem; if there is none, that all is well.

    Args:
        problems: as a start tells them.
        fine: what is so if there is none.
    """
    told = False
    for problem in problems:
        told = True
        kind = warning if problem.tolerable else failed
        yield kind(problem.fault, problem.cure)
    if not told:
        yield ok(fine)
