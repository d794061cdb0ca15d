# SPDX-License-Identifier: Apache-2.0
"""Finds the fewest operations and decisions with which a run still breaks its law.

It leaves halves, quarters and so on of them out (delta debugging, by Andreas Zeller).
"""

import dataclasses
import time
from collections.abc import Callable, Collection, Sequence
from typing import TypeVar

from tests.simulate.run import Outcome, Plan, again

Item = TypeVar("Item")


def law_of(broken: str) -> str:
    """Give the law that was broken, without the names in it."""
    return broken.partition(":")[0]


def shrink(outcome: Outcome, seconds: float = 60.0) -> Plan:
    """Give a smaller plan of a run that breaks the same law.

    Args:
        outcome: of the run.
        seconds: how long to try at most.
    """
    end = time.time() + seconds
    law = law_of(outcome.broken)

    def breaks(plan: Plan) -> bool:
        return time.time() < end and law_of(again(plan).broken) == law

    plan = outcome.plan
    size = None
    while size != (size := (len(plan.ops), len(plan.decisions))):
        plan = _without_ops(plan, breaks)
        plan = _without_decisions(plan, breaks)
    return plan


def _without_ops(plan: Plan, breaks: Callable[[Plan], bool]) -> Plan:
    def with_ops(numbers: Collection[int]) -> Plan:
        ops = {number: plan.ops[number] for number in sorted(numbers)}
        names = {str(number) for number in numbers}
        decisions = {
            key: value
            for key, value in plan.decisions.items()
            if (first := key.partition(":")[0].partition(".")[0]) in names
            or not first.isdecimal()
        }
        return dataclasses.replace(plan, ops=ops, decisions=decisions)

    kept = _fewest(list(plan.ops), lambda numbers: breaks(with_ops(numbers)))
    return with_ops(kept)


def _without_decisions(plan: Plan, breaks: Callable[[Plan], bool]) -> Plan:
    def with_keys(keys: Sequence[str]) -> Plan:
        decisions = {key: plan.decisions[key] for key in keys}
        return dataclasses.replace(plan, decisions=decisions)

    kept = _fewest(list(plan.decisions), lambda keys: breaks(with_keys(keys)))
    return with_keys(kept)


def _fewest(items: list[Item], breaks: Callable[[list[Item]], bool]) -> list[Item]:
    if items and breaks([]):
        return []
    share = 2
    while len(items) > 1:
        length = max(1, len(items) // share)
        for start in range(0, len(items), length):
            rest = items[:start] + items[start + length :]
            if rest and breaks(rest):
                items, share = rest, max(share - 1, 2)
                break
        else:
            if length == 1:
                break
            share = min(share * 2, len(items))
    return items
