# SPDX-License-Identifier: Apache-2.0
"""Exports by the kernel's own target, LIO: the half without privileges."""

from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeVar

from cinder import utils
from oslo_log import log as logging
from oslo_privsep import comm, daemon

from taikun_cinder.access.model import Export, Initiator
from taikun_cinder.access.observed import Observed
from taikun_cinder.access.plan import amendment, plan
from taikun_cinder.access.steps import Step
from taikun_cinder.exception import StepFailed, TargetUnreadable
from taikun_cinder.privsep import lio as privileged
from taikun_cinder.privsep import seal
from taikun_cinder.privsep.refusal import KernelRefused
from taikun_cinder.targets import base, lio_calls
from taikun_cinder.targets.base import Outcome, outcome

LOG = logging.getLogger(__name__)

_Result = TypeVar("_Result")

#: What a call can end with: the kernel refused, the privileged process refused the
#: input, it did not answer in time, it could not be started, or it went away.
_FAILURES = (
    KernelRefused,
    ValueError,
    comm.PrivsepTimeout,
    daemon.FailedToDropPrivileges,
    OSError,
)


class LioTarget:
    """The node's LIO. It keeps no state, so there may be any number of these."""

    def read(self, name: str) -> Observed:
        """Tell what there is for one volume."""
        return _read(name)

    def ensure(
        self, name: str, desired: Export | None, *, search: bool = True
    ) -> Outcome:
        """Make it so, and change nothing else.

        A privileged process that is killed on the way is started again by
        oslo.privsep at the next call, and the plan goes on from where it got to.
        """
        base.refuse_another(name, desired)
        return _again_if_lost(name, lambda: _converge(name, desired, search=search))

    def amend(
        self, name: str, desired: Export, about: Collection[Initiator]
    ) -> tuple[Step, ...] | None:
        """Let some initiators in or out of an export that is sound otherwise."""
        base.refuse_another(name, desired)
        return _again_if_lost(name, lambda: _amend(name, desired, about))

    def names(self, prefix: str) -> frozenset[str]:
        """List what exists, wholly or in part, and begins with a prefix."""
        return frozenset(_ask(prefix, privileged.names, prefix))

    def sessions(self, name: str) -> frozenset[Initiator]:
        """Tell who is logged in to one target."""
        return _read(name).sessions


class _LostError(Exception):
    """The privileged process went away, and ``failure`` tells during what."""

    def __init__(self, failure: StepFailed, cause: OSError) -> None:
        super().__init__(str(cause))
        self.failure = failure


def _again_if_lost(name: str, change: Callable[[], _Result]) -> _Result:
    try:
        return change()
    except _LostError as lost:
        LOG.warning(
            "The privileged process went away while the export %s was put right "
            "(%s). It is started again.",
            name,
            lost,
        )
    try:
        return change()
    except _LostError as lost:
        raise lost.failure from lost


# The lock of Cinder's own LIO driver (cinder/volume/targets/lio.py), whose back ends
# may be on this node too: rtslib does not bear changes beside its own.
@utils.synchronized("lioadm", external=True)
def _converge(name: str, desired: Export | None, *, search: bool) -> Outcome:
    # One that is to be made is made where it belongs.
    observed = _read(name, search=search and desired is None)
    steps = plan(observed, desired)
    if steps:
        _apply(name, steps)
    return outcome(observed, steps)


@utils.synchronized("lioadm", external=True)
def _amend(
    name: str, desired: Export, about: Collection[Initiator]
) -> tuple[Step, ...] | None:
    steps = amendment(_read(name, about=about), desired, about)
    if steps:
        _apply(name, steps)
    return steps


def _read(
    name: str, *, search: bool = False, about: Collection[Initiator] | None = None
) -> Observed:
    key = seal.new_key()
    whose = None if about is None else [one.name for one in about]
    plain = _ask(name, privileged.read, name, key, search, whose)
    return lio_calls.observed(name, plain, key)


def _ask(what: str, function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        try:
            return function(*arguments)
        except OSError as lost:
            LOG.warning("The privileged process went away (%s). Asking again.", lost)
            return function(*arguments)
    except _FAILURES as failure:
        raise TargetUnreadable(target=what, cause=_words(failure)) from failure


def _apply(name: str, steps: Sequence[Step]) -> None:
    try:
        privileged.apply(name, [lio_calls.call(step) for step in steps])
    except OSError as lost:
        raise _LostError(_failure(name, steps, lost), lost) from lost
    except _FAILURES as failure:
        raise _failure(name, steps, failure) from failure


def _failure(name: str, steps: Sequence[Step], cause: Exception) -> StepFailed:
    number = cause.step if isinstance(cause, KernelRefused) else -1
    failed = repr(steps[number]) if number >= 0 else f"one of {list(steps)}"
    return StepFailed(target=name, step=failed, cause=_words(cause))


def _words(failure: Exception) -> str:
    return str(failure) or type(failure).__name__
