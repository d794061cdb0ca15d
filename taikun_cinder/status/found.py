# SPDX-License-Identifier: Apache-2.0
"""What a check has found."""

import dataclasses
from collections.abc import Sequence

from oslo_upgradecheck.upgradecheck import Code, Result

#: How many of a kind are named one by one.
_NAMED = 5


@dataclasses.dataclass
class Found:
    """What a check has found, in words.

    Attributes:
        failures: what should stop an upgrade.
        warnings: what should be looked at.
        notes: what is well, and worth to be told.
    """

    failures: list[str] = dataclasses.field(default_factory=list)
    warnings: list[str] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)

    @classmethod
    def failure(cls, said: str) -> "Found":
        """Give one failure."""
        return cls(failures=[said])

    @classmethod
    def warning(cls, said: str) -> "Found":
        """Give one warning."""
        return cls(warnings=[said])

    def __add__(self, other: "Found") -> "Found":
        return Found(
            self.failures + other.failures,
            self.warnings + other.warnings,
            self.notes + other.notes,
        )

    def result(self) -> Result:
        """Give it as oslo.upgradecheck takes it: the worst first."""
        code = Code.SUCCESS
        if self.warnings:
            code = Code.WARNING
        if self.failures:
            code = Code.FAILURE
        said = [*self.failures, *self.warnings, *self.notes]
        return Result(code, ". ".join(line.rstrip(".") for line in said) or None)


def listed(names: Sequence[str]) -> str:
    """Name some of many."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
