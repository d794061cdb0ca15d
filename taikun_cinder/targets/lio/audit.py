# SPDX-License-Identifier: Apache-2.0
"""The differences between a state and an export, explained for the operator."""

from collections.abc import Iterable

from taikun_cinder.access.model import Export, Portal
from taikun_cinder.exception import StepFailed
from taikun_cinder.targets.base import Finding
from taikun_cinder.targets.lio.differences import differences
from taikun_cinder.targets.lio.kinds import Difference, Kind
from taikun_cinder.targets.lio.plan import plan
from taikun_cinder.targets.lio.states import LioState
from taikun_cinder.targets.lio.steps import AddPortal


def audit(observed: LioState, desired: Export | None) -> tuple[Finding, ...]:
    """Name and explain every difference; none if LIO is as it should be.

    Args:
        observed: what is.
        desired: what should be; None for nothing at all.
    """
    left = plan(observed, desired).left
    return tuple(
        finding(observed.name, difference, waits=difference in left)
        for difference in differences(observed, desired)
    )


def remaining(name: str, left: Iterable[Difference]) -> tuple[Finding, ...]:
    """Explain what a plan leaves as it is."""
    return tuple(finding(name, difference, waits=True) for difference in left)


def refused(name: str, portal: Portal, cause: StepFailed) -> Finding:
    """Tell of a portal that the kernel does not let the target have."""
    return Finding(
        kind=Kind.PORTAL,
        target=name,
        initiator=None,
        found=f"none, since the kernel refused it ({cause.msg})",
        wanted=str(portal),
        means=Kind.PORTAL.means,
        step=str(AddPortal(portal)),
        waits=False,
    )


def finding(name: str, difference: Difference, *, waits: bool) -> Finding:
    """Put one difference into words.

    Args:
        name: the target's.
        difference: what is to be explained.
        waits: whether it is left as it is for now.
    """
    return Finding(
        kind=difference.kind,
        target=name,
        initiator=difference.initiator,
        found=difference.found,
        wanted=difference.wanted,
        means=difference.kind.means,
        step="" if difference.step is None else str(difference.step),
        waits=waits,
    )
