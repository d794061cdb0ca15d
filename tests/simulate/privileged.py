# SPDX-License-Identifier: Apache-2.0
"""The privileged processes of a run: the real calls, over files that are imitated.

Each process that asks LIO has one, as with oslo.privsep. A call is a thread of it. What
is imitated is what lies between: the socket, and the daemon behind it.
"""

import contextlib
import functools
import os
from collections.abc import Callable, Mapping
from typing import Any

from oslo_privsep import comm, daemon
from oslo_utils import importutils

from taikun_cinder import privsep
from taikun_cinder.privsep import client, deadline, memory, modules, ours, turns
from taikun_cinder.targets.lio.kernel import NodesKernel
from tests.simulate import patches
from tests.simulate.actors import Process
from tests.simulate.locks import Lock
from tests.simulate.node import Privileged, SimFcntl, SimMount, SimNode, at_work
from tests.simulate.patches import Run, SimLocal
from tests.unit.privsep import node as imitated
from tests.unit.privsep.mount import CALLS, beside

#: What root lets the driver use.
_OURS = ours.Ours(
    ("iqn.2010-10.org.openstack:", "iqn.2026-11.org.other:"), ("group-b1", "group-b2")
)

#: Gives the node of the run under way.
_Of = Callable[[], SimNode]


class _Current:
    """The run under way, if it is one of files.

    Attributes:
        of: gives its node; None if it is none of files.
        clients: what the processes know of their privileged ones.
    """

    of: _Of | None = None
    clients: "dict[Process, _Client]"


class _Client:
    """What a process knows of its privileged one."""

    def __init__(self) -> None:
        self.channel: _Channel | None = None
        self.restarting = Lock(Run.scheduler)


class _Channel:
    """The socket to a privileged process, and the daemon behind it.

    Attributes:
        running: whether the process is there, as far as its client knows.
    """

    def __init__(self, process: Privileged) -> None:
        self._process = process
        self.running = True

    def remote_call(
        self,
        name: str,
        arguments: tuple[Any, ...],
        named: Mapping[str, Any],
        timeout: float | None,
    ) -> Any:
        """Let a function be called there, and wait for its answer.

        Raises:
            PrivsepTimeout: it did not come in time.
            ConnectionResetError: the privileged process is lost.
        """
        scheduler, process = Run.scheduler, self._process
        answers: list[tuple[Any, Exception | None]] = []
        words = " ".join([name.rpartition(".")[2], *arguments[:1]])

        def serve() -> None:
            answer: tuple[Any, Exception | None]
            try:
                answer = importutils.import_class(name)(*arguments, **named), None
            except Exception as error:
                answer = None, error
            scheduler.step(f"privsep: answers {words}")
            answers.append(answer)

        def is_over() -> bool:
            return bool(answers) or process.dead

        def comes(seconds: float | None) -> bool:
            end = None if seconds is None else scheduler.now + seconds
            return scheduler.block(is_over, end)

        call = client.Unanswered(words)
        client._unanswered.add(call)
        try:
            scheduler.step(f"privsep: {words}")
            if not process.dead:
                scheduler.spawn(words, process, serve)
            patience: Any = client._patience
            if patience.seconds is not None and not comes(patience.seconds):
                patience.over()
            if not comes(timeout):
                raise comm.PrivsepTimeout
        finally:
            client._unanswered.discard(call)
        if not answers:
            raise ConnectionResetError(f"{process.name} is lost")
        answer, error = answers[0]
        if error is not None:
            raise error
        return answer


_Context: Any = client.Context


class _SimContext(_Context):
    """The driver's own, with a channel for each process that asks."""

    @property
    def client_mode(self) -> bool:
        """Whether who asks is no privileged process itself."""
        return at_work() is None

    @property
    def _mine(self) -> _Client:
        current = Run.scheduler.current
        assert current is not None
        return _Current.clients.setdefault(current.process, _Client())

    @property
    def _restarting(self) -> Lock:
        return self._mine.restarting

    @property
    def channel(self) -> _Channel | None:
        """To the privileged process of who asks."""
        return self._mine.channel

    def start(self, *arguments: Any, **named: Any) -> None:
        """Start the privileged process of who asks.

        Raises:
            FailedToDropPrivileges: it could not be started.
        """
        if Run.scheduler.step("privsep: start", ("fails",)):
            raise daemon.FailedToDropPrivileges("a fault of the run")
        current = Run.scheduler.current
        assert current is not None
        self._mine.channel = _Channel(Privileged(current.process))

    def stop(self) -> None:
        """Forget the privileged process of who asks, which is gone."""
        self._mine.channel = None


class _OfActor(SimLocal):
    """What the driver keeps for each thread, with what it begins with."""

    def __init__(self, **first: Any) -> None:
        super().__init__()
        self.__dict__["_first"] = first

    def __getattr__(self, name: str) -> Any:
        return self._mine().get(name, self.__dict__["_first"][name])


class _Turns:
    """The turns that a privileged process knows of, which are its own."""

    def __init__(self) -> None:
        self._found: dict[tuple[object, str], Any] = {}

    def get(self, name: str) -> Any:
        return self._found.get((at_work(), name))

    def pop(self, name: str, default: object) -> None:
        self._found.pop((at_work(), name), default)

    def __setitem__(self, name: str, turn: Any) -> None:
        self._found[at_work(), name] = turn


class _Asked(NodesKernel):
    """The node's LIO, with the lock of Cinder's own driver among those of the run."""

    def alone(self) -> contextlib.AbstractContextManager[object]:
        return patches.lock("lioadm")


def over(of: _Of) -> NodesKernel:
    """Give the LIO of a run that begins now, as the driver asks it.

    Args:
        of: gives the run's node.
    """
    _install()
    _Current.of, _Current.clients = of, {}
    vars(turns)["_turns"] = _Turns()
    return _Asked()


def _load(*more: str) -> None:
    assert _Current.of is not None
    _Current.of().modprobe(*more)


def _is_cleared() -> bool | None:
    assert _Current.of is not None
    return _Current.of().machine.clears_memory


def _mount() -> SimMount | None:
    return None if _Current.of is None else _Current.of().mount


def _caller() -> Process:
    """Give the process at the other end of the socket."""
    process = at_work()
    assert process is not None
    return process.client


@functools.cache
def _install() -> None:
    """Patch this process, for good."""
    for name in CALLS:
        setattr(os, name, beside(name, getattr(os, name), _mount))
    vars(modules)["load"] = _load
    vars(ours).update(current=lambda: _OURS, mapped=imitated.mapped)
    vars(turns).update(fcntl=SimFcntl(_mount), time=patches.TIME)
    vars(memory)["is_cleared"] = _is_cleared
    vars(deadline).update(
        now=patches.TIME.monotonic,
        _caller=_caller,
        _has_hung_up=lambda caller: caller.dead,
        _limits=_OfActor(until=None, caller=None, looked=0),
    )
    vars(client)["_patience"] = _OfActor(seconds=None, over=None)
    privsep.context.__class__ = _SimContext
