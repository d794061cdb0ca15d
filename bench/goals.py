# SPDX-License-Identifier: Apache-2.0
"""The goals, and whether they were reached: each a ratio of medians of one run."""

import dataclasses
import operator
from collections.abc import Callable, Iterator

from bench.report import Report


@dataclasses.dataclass(frozen=True)
class Goal:
    """One goal.

    Attributes:
        words: what is compared.
        relation: ``>=`` or ``<=``.
        limit: the ratio to be reached.
        value: gives the ratio of a run; None if it was not measured.
    """

    words: str
    relation: str
    limit: float
    value: Callable[[Report], float | None]

    def told(self, report: Report) -> str:
        """Say in a line whether the goal was reached."""
        value = self.value(report)
        if value is None:
            return f"{self.words}: {self.relation} {self.limit:g} was not measured"
        compare = operator.ge if self.relation == ">=" else operator.le
        reached = "reached" if compare(value, self.limit) else "MISSED"
        return f"{self.words}: {value:.2f}, {self.relation} {self.limit:g} {reached}"


_Measured = tuple[str, str, int, int]


def _ours(operation: str, exports: int, hosts: int = 1) -> _Measured:
    return operation, "ours", exports, hosts


def _in_tree(operation: str, exports: int, hosts: int = 1) -> _Measured:
    return operation, "in-tree", exports, hosts


def _ratio(
    numerator: _Measured, denominator: _Measured
) -> Callable[[Report], float | None]:
    def value(report: Report) -> float | None:
        above, below = report.median(*numerator), report.median(*denominator)
        return above / below if above and below else None

    return value


def _faster(
    operation: str, exports: int, hosts: int = 1
) -> Callable[..., float | None]:
    return _ratio(_in_tree(operation, exports, hosts), _ours(operation, exports, hosts))


def _to_the_floor(report: Report) -> float | None:
    ours = report.median(*_ours("further attach", 10))
    floor = report.median("further attach", "configfs", 10)
    trip = report.median(*_ours("privsep round trip", 10))
    return ours / (5 * floor + trip) if ours and floor and trip else None


_ANOTHER = "another host's attach, bare driver"

GOALS = (
    Goal(f"{_ANOTHER}, in-tree / ours, 10 exports", ">=", 100,
         _faster("further attach", 10)),
    Goal(f"{_ANOTHER}, in-tree / ours, 500 exports", ">=", 1000,
         _faster("further attach", 500)),
    Goal(f"{_ANOTHER}, ours / (5 x bare configfs + privsep round trip)", "<=", 1,
         _to_the_floor),
    Goal(f"{_ANOTHER}, 1000 exports / 1 export", "<=", 1.3,
         _ratio(_ours("further attach", 1000), _ours("further attach", 1))),
    Goal("attachment_update, in-tree / ours, 10 exports", ">=", 5,
         _faster("attachment_update", 10)),
    Goal("attachment_update, share of the driver, 10 exports", "<=", 0.2,
         _ratio(_ours("attachment_update, in the driver", 10),
                _ours("attachment_update", 10))),
    Goal("64 hosts at once, bare driver / one host", "<=", 64,
         _ratio(_ours("at once, the driver", 10, 64), _ours("further attach", 10))),
    Goal("64 hosts at once, manager / one host", "<=", 64,
         _ratio(_ours("at once, the manager", 10, 64), _ours("attachment_update", 10))),
    Goal("update of statistics, ours / in-tree, 10 exports", "<=", 1,
         _ratio(_ours("update of stats", 10), _in_tree("update of stats", 10))),
    Goal("restore with 2 hosts each, in-tree / ours, 100 exports", ">=", 10,
         _faster("restore", 100, 2)),
)  # fmt: skip


def told(report: Report) -> Iterator[str]:
    """Say each goal in a line."""
    for goal in GOALS:
        yield goal.told(report)
