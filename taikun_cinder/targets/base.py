# SPDX-License-Identifier: Apache-2.0
"""The contract that each kind of target keeps, and how all of them reach a state.

What an implementation must do:

- ``read`` tells what is, in one look, without changing anything, and however
  half-built it is: a part that is missing is None or absent, never an error. Its cost
  depends on this one volume only: no walk over all targets or backstores.
- ``ensure`` is ``converge(self.read, its own way to take one step, name, desired)``.
  It must do so under a lock of its own for the kernel (LIO: ``lioadm``); its caller
  holds the volume's lock. Which steps, and their order, is ``access.plan``'s affair;
  what each of them does is ``access.effects.after``, to the letter.
- ``amend`` is ``plan.amendment`` of ``read(name, about)``, under the same lock.
- A step that fails raises anything at all; ``converge`` turns it into ``StepFailed``
  with the target, the step and the cause. Nothing is undone: what was done before was
  right, and the next ``ensure`` plans anew from what is then. So a step that does
  several things to the kernel (CreateBackstore, MapLun) may be interrupted between any
  two of them, and ``read`` must then show a state that is not taken for the finished
  one, and that gives nobody more than the finished one.
- MapLun read-only: the kernel links a mapped LUN writable, unless the TPG says
  ``prod_mode_write_protect`` (target_fabric_mappedlun_link() in
  drivers/target/target_core_fabric_configfs.c). So set that to 1, link, see that
  ``write_protect`` is 1, and set it back to 0. It must not stay at 1: the in-tree
  driver, come back one day, would map its LUNs read-only.
- No secret in a log line, an argv or an exception's text. Steps may be logged: their
  ``repr`` shows no password.
"""

import dataclasses
import functools
from collections.abc import Callable, Collection, Iterable
from typing import Protocol

from taikun_cinder.access import plan
from taikun_cinder.access.effects import after
from taikun_cinder.access.model import Export, Initiator
from taikun_cinder.access.observed import Observed
from taikun_cinder.access.steps import Step
from taikun_cinder.exception import StepFailed


@dataclasses.dataclass(frozen=True)
class Changed:
    """The kernel was not as desired.

    Attributes:
        steps: what was done, in order.
        observed: what is now.
    """

    steps: tuple[Step, ...]
    observed: Observed


@dataclasses.dataclass(frozen=True)
class Unchanged:
    """The kernel was as desired already; nothing was done.

    Attributes:
        observed: what is.
    """

    observed: Observed


Outcome = Changed | Unchanged


def outcome(observed: Observed, steps: tuple[Step, ...]) -> Outcome:
    """Tell what came of the steps that were taken from a state."""
    if not steps:
        return Unchanged(observed)
    return Changed(steps, functools.reduce(after, steps, observed))


class Target(Protocol):
    """Exports of volumes. Each call can be repeated, and says what it did."""

    def read(self, name: str) -> Observed:
        """Tell what there is for one volume.

        Args:
            name: the IQN of its target, which is its backstore's name too.

        Raises:
            TargetUnreadable: the kernel could not be asked. That something is missing
                is an answer, not an error.
        """
        ...

    def ensure(
        self, name: str, desired: Export | None, *, search: bool = True
    ) -> Outcome:
        """Make it so, and change nothing else.

        What cannot be put right without taking a live host's disk away is left, and
        told by ``access.audit``: a caller that needs one grant to work asks
        ``access.plan.withheld``.

        Args:
            name: the IQN of the target.
            desired: None to remove everything.
            search: where everything is to be removed, look among all backstores for
                one that lost its target and is not where ``ensure`` makes them.

        Raises:
            TargetUnreadable: the kernel could not be asked; nothing was changed.
            StepFailed: a step failed; what was done before it stays.
            ValueError: ``desired`` is for another target; nothing was changed.
        """
        ...

    def amend(
        self, name: str, desired: Export, about: Collection[Initiator]
    ) -> tuple[Step, ...] | None:
        """Let some initiators in or out of an export that is sound otherwise.

        Its cost does not depend on how many others have access.

        Args:
            name: the IQN of the target.
            desired: what should be.
            about: whose access may have changed.

        Returns:
            what was done; None if more is to be done than this, which ``ensure`` does.
            Then nothing was changed.

        Raises:
            TargetUnreadable: the kernel could not be asked; nothing was changed.
            StepFailed: a step failed; what was done before it stays.
            ValueError: ``desired`` is for another target; nothing was changed.
        """
        ...

    def names(self, prefix: str) -> frozenset[str]:
        """List what exists, wholly or in part, and begins with a prefix.

        That is the IQNs of targets and the names of block backstores: a backstore
        without a target keeps its device open. They may belong to other back ends on
        this node, so the caller removes only names of its own volumes.

        This walks over everything, and is for the reconcile only, never for an attach.

        Raises:
            TargetUnreadable: the kernel could not be asked.
        """
        ...

    def sessions(self, name: str) -> frozenset[Initiator]:
        """Tell who is logged in to one target; nobody if there is no such target.

        Raises:
            TargetUnreadable: the kernel could not be asked.
        """
        ...


def refuse_another(name: str, desired: Export | None) -> None:
    """Refuse to make a target what is meant for another.

    Raises:
        ValueError: that is so.
    """
    if desired is not None and desired.target != name:
        raise ValueError(f"asked to make {desired.target} of {name}")


def converge(
    read: Callable[[str], Observed],
    take: Callable[[str, Step], None],
    name: str,
    desired: Export | None,
) -> Outcome:
    """Read, plan, and take each step.

    Args:
        read: tells what is.
        take: takes one step for the target of that name; raises if it cannot.
        name: the IQN of the target.
        desired: None to remove everything.

    Raises:
        StepFailed: with the target, the step and the cause.
        ValueError: ``desired`` is for another target.
    """
    refuse_another(name, desired)
    observed = read(name)
    steps = plan.plan(observed, desired)
    take_each(take, name, steps)
    return outcome(observed, steps)


def take_each(
    take: Callable[[str, Step], None], name: str, steps: Iterable[Step]
) -> None:
    """Take some steps.

    Raises:
        StepFailed: with the target, the step and the cause.
    """
    for step in steps:
        try:
            take(name, step)
        except Exception as error:
            raise StepFailed(target=name, step=step, cause=error) from error
