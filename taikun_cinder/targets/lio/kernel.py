# SPDX-License-Identifier: Apache-2.0
"""The node's LIO, asked and changed through the privileged process."""

import contextlib
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, Protocol

from oslo_concurrency import lockutils
from oslo_log import log as logging
from oslo_privsep import comm, daemon

from taikun_cinder.access.model import Initiator
from taikun_cinder.exception import StepFailed, TargetUnreadable
from taikun_cinder.privsep import checks, cipher
from taikun_cinder.privsep import lio as privileged
from taikun_cinder.privsep.refusal import KernelRefused
from taikun_cinder.targets.lio import answers
from taikun_cinder.targets.lio.states import LioState
from taikun_cinder.targets.lio.steps import Step

LOG = logging.getLogger(__name__)

#: What a call can end with: the kernel refused, the privileged process refused the
#: input, it did not answer in time, it could not be started, or it went away.
_FAILURES = (
    KernelRefused,
    ValueError,
    comm.PrivsepTimeout,
    daemon.FailedToDropPrivileges,
    OSError,
)


class LostError(Exception):
    """The privileged process went away; ``failure`` tells during what."""

    def __init__(self, failure: StepFailed, cause: OSError) -> None:
        super().__init__(str(cause))
        self.failure = failure


class Kernel(Protocol):
    """A LIO: the node's, or one that tests have in memory."""

    def alone(self) -> contextlib.AbstractContextManager[object]:
        """Keep all other processes of this node from changing LIO meanwhile."""
        ...

    def read(
        self,
        name: str,
        *,
        search: bool = False,
        about: Collection[Initiator] | None = None,
    ) -> LioState:
        """Read what LIO has for one volume.

        Args:
            name: the IQN of its target, which is its backstore's name too.
            search: look among all backstores for one that lost its target and is not
                where ours are made.
            about: whose ACLs to read; None for all.

        Raises:
            TargetUnreadable: the kernel could not be asked.
        """
        ...

    def apply(self, name: str, steps: Sequence[Step]) -> None:
        """Take some steps.

        Raises:
            StepFailed: with the target, the step and the cause.
            LostError: the privileged process went away.
        """
        ...

    def names(self, prefix: str) -> frozenset[str]:
        """List the targets and block backstores whose names begin with a prefix.

        Raises:
            TargetUnreadable: the kernel could not be asked.
        """
        ...


class NodesKernel:
    """The LIO of this node. It keeps no state, so there may be any number of these."""

    def alone(self) -> contextlib.AbstractContextManager[object]:
        """Keep all other processes of this node from changing LIO meanwhile.

        It is the lock of Cinder's own LIO driver (cinder/volume/targets/lio.py), whose
        back ends may be on this node too: rtslib does not bear changes beside its own.
        """
        lock: contextlib.AbstractContextManager[object] = lockutils.lock(
            "lioadm", "cinder-", external=True
        )
        return lock

    def read(
        self,
        name: str,
        *,
        search: bool = False,
        about: Collection[Initiator] | None = None,
    ) -> LioState:
        """Read what LIO has for one volume."""
        key = cipher.new_key()
        whose = None if about is None else list(_possible(about))
        plain = _ask(name, privileged.read, name, key, search, whose)
        return answers.state(name, plain, key)

    def apply(self, name: str, steps: Sequence[Step]) -> None:
        """Take some steps."""
        try:
            privileged.apply(name, [step.call for step in steps])
        except OSError as lost:
            raise LostError(_failure(name, steps, lost), lost) from lost
        except _FAILURES as failure:
            raise _failure(name, steps, failure) from failure

    def names(self, prefix: str) -> frozenset[str]:
        """List the targets and block backstores whose names begin with a prefix."""
        return frozenset(_ask(prefix, privileged.names, prefix))


def _possible(initiators: Collection[Initiator]) -> Iterator[str]:
    """Give the names that an ACL can have; under any other LIO has none."""
    for initiator in initiators:
        with contextlib.suppress(ValueError):
            yield checks.folder(initiator.name)


def _ask(what: str, function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        try:
            return function(*arguments)
        except OSError as lost:
            LOG.warning("The privileged process went away (%s). Asking again.", lost)
            return function(*arguments)
    except _FAILURES as failure:
        raise TargetUnreadable(target=what, cause=_words(failure)) from failure


def _failure(name: str, steps: Sequence[Step], cause: Exception) -> StepFailed:
    number = cause.step if isinstance(cause, KernelRefused) else -1
    failed = repr(steps[number]) if number >= 0 else f"one of {list(steps)}"
    return StepFailed(target=name, step=failed, cause=_words(cause))


def _words(failure: Exception) -> str:
    return str(failure) or type(failure).__name__
