# SPDX-License-Identifier: Apache-2.0
"""The node's LIO, asked and changed through the privileged process."""

import contextlib
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, Protocol

from oslo_concurrency import lockutils
from oslo_log import log as logging
from oslo_privsep import comm, daemon

from taikun_cinder import privsep
from taikun_cinder.access.model import Initiator
from taikun_cinder.exception import (
    StepFailed,
    StepUnfinished,
    TargetBusy,
    TargetUnreadable,
)
from taikun_cinder.privsep import checks, cipher, client, deadline
from taikun_cinder.privsep import lio as privileged
from taikun_cinder.privsep.deadline import TooLate
from taikun_cinder.privsep.refusal import Busy, KernelRefused
from taikun_cinder.targets.inspection import Inspection
from taikun_cinder.targets.lio import answers
from taikun_cinder.targets.lio.states import LioState
from taikun_cinder.targets.lio.steps import Step

LOG = logging.getLogger(__name__)

#: What a call can end with: the kernel refused, the privileged process refused the
#: input, it did not answer in time, it could not be started, or it went away.
_UNFINISHED = (comm.PrivsepTimeout, TooLate)
_FAILURES = (
    KernelRefused,
    ValueError,
    *_UNFINISHED,
    daemon.FailedToDropPrivileges,
    OSError,
)

#: One for all calls of this process, so that the states that it read can be compared.
_KEY = cipher.new_key()

#: How long a change may keep all others of this node waiting, in seconds. One that
#: takes longer hangs, as a rule: no longer can those who change LIO by rtslib be kept
#: from seeing it half done.
GRACE = 0.5


class LostError(Exception):
    """The privileged process went away; ``failure`` tells during what."""

    def __init__(self, failure: StepFailed, cause: OSError) -> None:
        super().__init__(str(cause))
        self.failure = failure


class Kernel(Protocol):
    """A LIO: the node's, or one that tests have in memory."""

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
            TargetBusy: another call on the target has not come back.
            TargetUnreadable: the kernel could not be asked.
        """
        ...

    def inspect(self, name: str) -> Inspection:
        """Read the details of one volume's export, which no decision goes by.

        Args:
            name: the IQN of its target.

        Raises:
            TargetBusy: another call on the target has not come back.
            TargetUnreadable: the kernel could not be asked.
        """
        ...

    def apply(self, name: str, steps: Sequence[Step]) -> None:
        """Take some steps; nobody else changes this node's LIO meanwhile.

        Raises:
            TargetBusy: another call on the target has not come back; none was taken.
            StepUnfinished: one has not come back in time; no other will be begun.
            StepFailed: with the target, the step and the cause.
            LostError: the privileged process went away.
        """
        ...

    def names(self, prefix: str) -> frozenset[str]:
        """List the names with a prefix of all that has a target or a backstore.

        Raises:
            TargetUnreadable: the kernel could not be asked.
        """
        ...

    def waiting(self) -> Sequence[tuple[str, float]]:
        """Tell what has not been answered yet, see ``Target.waiting``."""
        ...

    def lack_of_readers_disk(self) -> str:
        """Say what the kernel lacks for readers' disks; empty if it is nothing.

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
        whose = None if about is None else list(_possible(about))
        plain = _ask(name, privileged.read, name, _KEY, search, whose)
        return answers.state(name, plain, _KEY)

    def inspect(self, name: str) -> Inspection:
        """Read the details of one volume's export."""
        return answers.inspection(_ask(name, privileged.inspect, name))

    def apply(self, name: str, steps: Sequence[Step]) -> None:
        """Take some steps; nobody else changes this node's LIO meanwhile.

        Unless they hang: then the others go on, and the privileged process keeps them
        from this one target.
        """
        with _told(name, steps):
            privsep.context.connect()  # which may take long, and nobody waits for it
        with self._alone_at_first(), _told(name, steps):
            privileged.apply(name, [step.call for step in steps])

    @contextlib.contextmanager
    def _alone_at_first(self) -> Iterator[None]:
        """Be alone, but not for long.

        The more calls hang already, the shorter: many volumes on one sick disk together
        cost the others little more than one.
        """
        with contextlib.ExitStack() as held, contextlib.ExitStack() as counted:
            held.enter_context(self.alone())

            def let_go() -> None:
                counted.enter_context(_counted_as_hanging())
                held.close()

            with client.impatient(GRACE / (1 + len(_hanging)), let_go):
                yield

    def names(self, prefix: str) -> frozenset[str]:
        """List the names with a prefix of all that has a target or a backstore."""
        what = prefix or "a target of this driver"
        return frozenset(_ask(what, privileged.names, prefix))

    def waiting(self) -> Sequence[tuple[str, float]]:
        """Tell what the privileged process has not answered yet."""
        now = deadline.now()
        return [(call.call, now - call.since) for call in client.unanswered()]

    def lack_of_readers_disk(self) -> str:
        """Say what the kernel lacks for readers' disks; empty if it is nothing."""
        _ask("a readers' disk", privsep.context.connect)
        with self.alone():
            return str(_ask("a readers' disk", privileged.lack_of_readers_disk))


#: One for each call that has outlived its grace and not come back.
_hanging: set[object] = set()


@contextlib.contextmanager
def _counted_as_hanging() -> Iterator[None]:
    one = object()
    _hanging.add(one)
    try:
        yield
    finally:
        _hanging.remove(one)


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
    except Busy as busy:
        raise TargetBusy(target=what, cause=busy) from busy
    except _FAILURES as failure:
        raise TargetUnreadable(target=what, cause=_words(failure)) from failure


@contextlib.contextmanager
def _told(name: str, steps: Sequence[Step]) -> Iterator[None]:
    """Turn what the privileged process ends with into what ``Kernel.apply`` raises."""
    try:
        yield
    except Busy as busy:
        raise TargetBusy(target=name, cause=busy) from busy
    except OSError as lost:
        raise LostError(_failure(name, steps, lost), lost) from lost
    except _UNFINISHED as late:
        waited = f"{privsep.context.timeout:.0f} s"
        cause = f"the kernel has not done it after {waited}"
        step = f"one of {list(steps)}"
        raise StepUnfinished(target=name, step=step, cause=cause) from late
    except _FAILURES as failure:
        raise _failure(name, steps, failure) from failure


def _failure(name: str, steps: Sequence[Step], cause: Exception) -> StepFailed:
    number = cause.step if isinstance(cause, KernelRefused) else -1
    failed = repr(steps[number]) if number >= 0 else f"one of {list(steps)}"
    failure = StepFailed(target=name, step=failed, cause=_words(cause))
    failure.number = number if number >= 0 else None
    return failure


def _words(failure: Exception) -> str:
    if isinstance(failure, comm.PrivsepTimeout):
        return f"it did not answer in {privsep.context.timeout:.0f} s"
    return str(failure) or type(failure).__name__
