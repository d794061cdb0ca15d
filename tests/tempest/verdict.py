# SPDX-License-Identifier: Apache-2.0
"""What became of the tests, compared with what must become of them."""

import dataclasses
import re
from collections import Counter
from collections.abc import Iterable, Mapping

#: How subunit calls what failed for a whole class, as ``setUpClass (MODULE.CLASS)``.
_CLASS = re.compile(r"^(?:setUp|tearDown)Class \((.+)\)$")


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of one test.

    Attributes:
        status: ``success``, ``skip``, ``fail`` or another word of subunit's.
        seconds: that it took.
        reason: why it was skipped, or how it failed.
    """

    status: str
    seconds: float = 0.0
    reason: str = ""


def plain(name: str) -> str:
    """Give a test's name without its attributes, ``[id-...,smoke]``."""
    return name.partition("[")[0]


def of_each(
    listed: Iterable[str], outcomes: Mapping[str, Outcome]
) -> dict[str, Outcome]:
    """Give the outcome of each test that was to run.

    A class that skips or breaks as a whole has one outcome, which is that of all its
    tests; a broken one is no test's failure. A test without any was lost.
    """
    found = {plain(name): outcome for name, outcome in outcomes.items()}
    classes = {
        match[1]: outcome
        if outcome.status == "skip"
        else Outcome("broken", reason=outcome.reason)
        for name, outcome in found.items()
        if (match := _CLASS.match(name)) and outcome.status != "success"
    }
    lost = Outcome("lost", reason="it was to run, and nothing is known of it")
    each = {
        name: found.get(name) or classes.get(name.rpartition(".")[0], lost)
        for name in map(plain, listed)
    }
    # A test that was not listed counts, too, and so does what a class left behind.
    return each | {
        name: outcome
        for name, outcome in found.items()
        if not _CLASS.match(name)
        or (name.startswith("tearDown") and outcome.status != "success")
    }


@dataclasses.dataclass(frozen=True)
class Verdict:
    """The outcomes, and the lists that they are held against.

    Attributes:
        outcomes: of each test by its name.
        cannot_pass: the reasons of those that must fail.
        may_skip: the reasons by the beginnings of what tempest says when it skips.
        whole: whether all tests that the lists know were to run.
    """

    outcomes: Mapping[str, Outcome]
    cannot_pass: Mapping[str, str]
    may_skip: Mapping[str, str]
    whole: bool

    def faults(self) -> list[str]:
        """Give what is not as it must be, a line each."""
        names = list(self.outcomes)
        names += [name for name in self.cannot_pass if self.whole and name not in names]
        return [
            f"{name}: {fault}" for name in names if (fault := self._fault(name)) != ""
        ]

    def _fault(self, name: str) -> str:
        outcome = self.outcomes.get(name, Outcome("no more among tempest's tests"))
        must_fail = name in self.cannot_pass
        if outcome.status == "success":
            return "passes; take it off the list of those that cannot" * must_fail
        if outcome.status == "skip":
            return "" if self._may_skip(outcome) else f"skips: {outcome.reason}"
        if must_fail and outcome.status == "fail":
            return ""
        return outcome.status

    def _may_skip(self, outcome: Outcome) -> str | None:
        return next(
            (
                why
                for said, why in self.may_skip.items()
                if re.search(said, outcome.reason)
            ),
            None,
        )

    def summary(self) -> list[str]:
        """Give the figures, and the reasons with how many tests each is for."""
        statuses = Counter(outcome.status for outcome in self.outcomes.values())
        told = ", ".join(
            f"{count} {status}" for status, count in sorted(statuses.items())
        )
        skipped = Counter(
            self._may_skip(outcome) or outcome.reason
            for outcome in self.outcomes.values()
            if outcome.status == "skip"
        )
        failed = [
            f"  fails: {name}: {self.cannot_pass[name]}"
            for name, outcome in self.outcomes.items()
            if outcome.status == "fail" and name in self.cannot_pass
        ]
        return [
            f"{len(self.outcomes)} tests: {told}",
            *(f"  skip, {count}: {why}" for why, count in skipped.most_common()),
            *failed,
        ]
