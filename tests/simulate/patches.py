# SPDX-License-Identifier: Apache-2.0
"""Puts the run's clock, threads, locks and disk below the driver's real code."""

import hashlib
import logging
import sys
import threading
import time
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

from cinder import coordination, exception
from cinder.volume import manager

import taikun_cinder.driver
from taikun_cinder import current, durable, fences, records
from taikun_cinder.access import attachment, identity
from tests.simulate import types
from tests.simulate.actors import Actor
from tests.simulate.disk import SimOs, SimPath, SimShutil
from tests.simulate.locks import Lock
from tests.simulate.model import REQUEST
from tests.simulate.schedule import Scheduler

#: What every password of a run begins with behind its first letter.
SECRET = "5ec4e7"


class Run:
    """The run under way; what is patched goes by it."""

    scheduler: Scheduler
    locks: dict[str, Lock]
    tokens: int = 0


def token_hex(length: int) -> str:
    """Give a token that depends on nothing but how many there were before."""
    Run.tokens += 1
    digest = hashlib.sha256(f"token {Run.tokens}".encode()).hexdigest()
    start = SECRET if length == 16 else ""
    return (start + digest)[: 2 * length]


class SimThread:
    """See :class:`threading.Thread`."""

    def __init__(
        self,
        target: Callable[..., object],
        name: str = "",
        daemon: bool = True,
        args: tuple[Any, ...] = (),
    ) -> None:
        self._target, self.name = lambda: target(*args), name
        self._actor: Actor | None = None

    def start(self) -> None:
        scheduler = Run.scheduler
        assert scheduler.current is not None
        process = scheduler.current.process
        self._actor = scheduler.spawn(self.name, process, self._target)
        self._actor.thread = self

    def join(self, timeout: float | None = None) -> None:
        if self._actor is not None:
            actor = self._actor
            Run.scheduler.block(lambda: actor.done or actor.process.dead)

    def is_alive(self) -> bool:
        return self._actor is not None and not self._actor.done


class SimEvent:
    """See :class:`threading.Event`."""

    def __init__(self) -> None:
        self._is_set = False

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        self._is_set = True

    def wait(self, timeout: float | None = None) -> bool:
        now = Run.scheduler.now
        return Run.scheduler.block(
            self.is_set, None if timeout is None else now + timeout
        )


class SimLocal:
    """See :class:`threading.local`."""

    def __init__(self) -> None:
        self.__dict__["_of"] = {}

    def _mine(self) -> dict[str, Any]:
        current = Run.scheduler.current
        found: dict[str, Any] = self.__dict__["_of"].setdefault(
            current.id if current else "", {}
        )
        return found

    def __getattr__(self, name: str) -> Any:
        try:
            return self._mine()[name]
        except KeyError:
            raise AttributeError(name) from None

    def __setattr__(self, name: str, value: Any) -> None:
        self._mine()[name] = value


def _current_thread() -> Any:
    current = Run.scheduler.current
    if current is None:
        return threading.main_thread()
    if current.thread is None:
        current.thread = SimThread(lambda: None, current.about)
    return current.thread


_THREADING = SimpleNamespace(
    Thread=SimThread,
    Event=SimEvent,
    Lock=lambda: Lock(Run.scheduler),
    local=SimLocal,
    current_thread=_current_thread,
)


def _sleep(seconds: float) -> None:
    Run.scheduler.sleep(seconds)


#: See :mod:`time`.
TIME = SimpleNamespace(
    monotonic=lambda: Run.scheduler.now,
    time=lambda: 1_700_000_000 + Run.scheduler.now,
    sleep=_sleep,
)

#: By the module that a module of the driver imports, what it has instead.
_INSTEAD: dict[ModuleType, Any] = {time: TIME, threading: _THREADING}


def lock(name: str) -> Lock:
    """Give a lock of the node, by its name."""
    # As a lock of files: of the whole node, whichever process asks for it.
    return Run.locks.setdefault(name, Lock(Run.scheduler, name[:22]))


class SecretsSeen(logging.Handler):
    """Looks for passwords in what is logged; ``found`` has the lines."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if SECRET in text or (record.exc_info and SECRET in str(record.exc_info[1])):
            self.found.append(text)


class _Nova:
    """What cinder-volume tells Nova; it does nothing by it here."""

    def extend_volume(self, *arguments: Any) -> None: ...

    def update_server_volume(self, *arguments: Any) -> None:
        """Let a server go on with another volume, which is not in these runs.

        Raises:
            VolumeUnattached: the server does not have the volume.
        """
        raise exception.VolumeUnattached(volume_id=arguments[2])


def install() -> SecretsSeen:
    """Patch this process, for good."""
    for name, module in list(sys.modules.items()):
        if name.startswith("taikun_cinder") and ".privsep" not in name:
            for attribute, value in list(vars(module).items()):
                if isinstance(value, ModuleType) and value in _INSTEAD:
                    setattr(module, attribute, _INSTEAD[value])
    secrets = SimpleNamespace(token_hex=token_hex)
    for module in (attachment, identity, durable, fences):
        vars(module)["secrets"] = secrets
    for module in (durable, records, fences):
        vars(module)["os"] = SimOs()
    for module in (records, fences, taikun_cinder.driver):
        vars(module)["Path"] = SimPath
    vars(fences)["shutil"] = SimShutil()
    vars(current)["request_id"] = REQUEST.get
    vars(manager)["QUOTAS"] = types.QUOTAS
    vars(manager)["compute"] = SimpleNamespace(API=_Nova)
    vars(manager)["time"] = TIME
    vars(coordination.COORDINATOR)["get_lock"] = lock
    vars(coordination.COORDINATOR)["started"] = True
    vars(coordination)["synchronized_remove"] = lambda name: None
    return _watch_logs()


def _watch_logs() -> SecretsSeen:
    handler = SecretsSeen()
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("taikun_cinder").setLevel(logging.INFO)
    # It logs what it raises, and that is the driver's.
    logging.getLogger("cinder").setLevel(logging.CRITICAL)
    return handler
