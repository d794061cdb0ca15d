# SPDX-License-Identifier: Apache-2.0
"""The steps from a state to an export, none of which harms a host.

A plan has no memory. It is the first step against the first difference, then the same
for the state after that step, and so on. So after a crash the next plan goes on where
the last one was cut off, and a plan for what is right already is empty.
"""

import dataclasses
from collections.abc import Collection

from taikun_cinder.access.model import Export, Initiator
from taikun_cinder.targets.base import refuse_another
from taikun_cinder.targets.lio.differences import differences
from taikun_cinder.targets.lio.kinds import Difference, Kind
from taikun_cinder.targets.lio.states import LioState
from taikun_cinder.targets.lio.steps import PersonalStep, Step, after


@dataclasses.dataclass(frozen=True)
class Plan:
    """The steps from a state towards an export.

    Attributes:
        steps: in their order. Revocations come before grants. What a live host that
            keeps its access stands on is not torn down, not even to put it right
            (``view``).
        end: the state after them.
        left: the differences that no step can do away with as things are.
        desired: the export; None for nothing at all.
        kinds: the kind of the difference that each step is against.
    """

    steps: tuple[Step, ...]
    end: LioState
    left: tuple[Difference, ...]
    desired: Export | None
    kinds: tuple[Kind, ...] = ()

    @property
    def withheld(self) -> frozenset[Initiator]:
        """The initiators that have a grant, and that cannot be let in as things are.

        That is so if the kernel shows a wrong device to a host that has to keep it.
        """
        if any(difference.kind is Kind.DEVICE for difference in self.left):
            return frozenset(self.desired.grant_of if self.desired else ())
        return frozenset(
            difference.initiator
            for difference in self.left
            if difference.initiator is not None
            if difference.kind is not Kind.READERS_DISK
        )

    @property
    def without_readers_disk(self) -> frozenset[Initiator]:
        """The initiators that cannot be shown the readers' disk as things are."""
        return frozenset(
            difference.initiator
            for difference in self.left
            if difference.initiator is not None
            if difference.kind is Kind.READERS_DISK
        )


def plan(observed: LioState, desired: Export | None) -> Plan:
    """Plan the steps from a state to an export.

    Args:
        observed: what is.
        desired: what should be; None for nothing at all.

    Raises:
        ValueError: the two are not about the same target.
    """
    refuse_another(observed.name, desired)
    steps: list[Step] = []
    kinds: list[Kind] = []
    while True:
        left: list[Difference] = []
        for difference in differences(observed, desired):
            if difference.step is not None:
                steps.append(difference.step)
                kinds.append(difference.kind)
                observed = after(observed, difference.step)
                break
            left.append(difference)
        else:
            return Plan(tuple(steps), observed, tuple(left), desired, tuple(kinds))


def personal(
    observed: LioState, desired: Export, about: Collection[Initiator]
) -> tuple[Step, ...] | None:
    """Give the steps that concern only the access of some initiators.

    They need no look at all others' ACLs, however many there are: where nothing else is
    to be done, nothing is done that a host could stand on.

    Args:
        observed: what is, at least with the ACLs of these initiators.
        desired: what should be.
        about: the initiators.

    Returns:
        None if these steps would not make all right but for others' ACLs. Then only a
        plan of the whole can tell what is to be done.
    """
    part = plan(observed.only(about), desired.only(about))
    if part.left or not all(isinstance(step, PersonalStep) for step in part.steps):
        return None
    return part.steps
