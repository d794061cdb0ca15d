# SPDX-License-Identifier: Apache-2.0
"""From what is to what should be, in steps of which none harms anybody.

A plan has no memory. It is the first step against the first difference, then the same
for the state after that step, and so on. So after a crash the next plan goes on where
the last one was cut off, and a plan for what is right already is empty.
"""

import functools
from collections.abc import Collection

from taikun_cinder.access.differences import Difference, Kind, differences
from taikun_cinder.access.effects import after
from taikun_cinder.access.model import Export, Initiator
from taikun_cinder.access.observed import Observed
from taikun_cinder.access.steps import PERSONAL, Step


def plan(observed: Observed, desired: Export | None) -> tuple[Step, ...]:
    """Give the steps that lead from the one to the other.

    Revocations come before grants. What a live host that keeps its access stands on
    is not torn down, not even to put it right (``view``): ``audit`` tells what is
    left, and ``withheld`` who is left out because of it.

    Args:
        observed: what is.
        desired: what should be; None for nothing at all.

    Raises:
        ValueError: the two are not about the same target.
    """
    _same(observed, desired)
    steps: list[Step] = []
    while (step := _first(observed, desired)) is not None:
        steps.append(step)
        observed = after(observed, step)
    return tuple(steps)


def amendment(
    observed: Observed, desired: Export, about: Collection[Initiator]
) -> tuple[Step, ...] | None:
    """Give the steps that concern only the access of some initiators.

    It needs no look at all others' ACLs, however many there are: where nothing else is
    to be done, nothing is done that a host could stand on.

    Args:
        observed: what is, at least with the ACLs of these initiators.
        desired: what should be.
        about: the initiators.

    Returns:
        None if these steps would not make all right but for others' ACLs. Then only a
        plan of the whole can tell what is to be done.
    """
    part, wanted = observed.only(about), desired.only(about)
    steps = plan(part, wanted)
    if not all(isinstance(step, PERSONAL) for step in steps):
        return None
    end = functools.reduce(after, steps, part)
    return None if any(differences(end, wanted)) else steps


def left(observed: Observed, desired: Export | None) -> tuple[Difference, ...]:
    """Give the differences that no plan can do away with as things are."""
    for step in plan(observed, desired):
        observed = after(observed, step)
    return tuple(differences(observed, desired))


def withheld(observed: Observed, desired: Export) -> frozenset[Initiator]:
    """Name those who have a grant, and whom no plan can let in as things are.

    That is so if the kernel shows a wrong device to a host that has to keep it.
    """
    remaining = left(observed, desired)
    if any(one.kind is Kind.DEVICE for one in remaining):
        return frozenset(desired.grant_of)
    return frozenset(one.initiator for one in remaining if one.initiator is not None)


def _first(observed: Observed, desired: Export | None) -> Step | None:
    found = differences(observed, desired)
    return next((one.step for one in found if one.step is not None), None)


def _same(observed: Observed, desired: Export | None) -> None:
    if desired is not None and desired.target != observed.name:
        raise ValueError(f"{desired.target} cannot be made of {observed.name}")
