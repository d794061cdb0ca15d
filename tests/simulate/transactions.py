# SPDX-License-Identifier: Apache-2.0
"""Each transaction of Cinder's real database layer is a step, which may fail.

An actor hands back its turn before a transaction, and never in one: so what others see
is what a database shows them that keeps transactions apart. What fails is what a server
far away does: it is down; it takes what is asked, and its answer is lost; or it finds a
deadlock, and undoes the transaction.
"""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import SimpleNamespace, TracebackType
from typing import Any, ClassVar

from oslo_db import exception
from oslo_db.sqlalchemy import enginefacade, engines

from tests.simulate.schedule import Scheduler

#: In which ways a transaction that reads may fail, and one that writes.
_READS, _WRITES = ("down",), ("down", "unanswered", "deadlock")

_Manager = enginefacade._TransactionContextManager

_real_scope = _Manager._transaction_scope


class Transaction(AbstractContextManager[Any]):
    """A block of the code within a transaction.

    Args:
        real: what oslo.db does for it.
        name: of the function that it is for.
        writes: whether it writes.
    """

    #: Of the run under way; None if transactions are no steps now.
    scheduler: ClassVar[Scheduler | None] = None

    #: Is called when one has ended, so that all look at what it has changed.
    ended: ClassVar[Callable[[], None]] = lambda: None

    #: How many blocks there are now. All but the first one are parts of that.
    _open: ClassVar[int] = 0

    def __init__(
        self, real: AbstractContextManager[Any], name: str, *, writes: bool
    ) -> None:
        self._real, self._name, self._writes = real, name, writes
        self._way, self._steps = "", 0

    def __enter__(self) -> Any:
        if self.scheduler is not None and not Transaction._open:
            self._begin(self.scheduler)
        Transaction._open += 1
        try:
            return self._real.__enter__()
        except BaseException:
            Transaction._open -= 1
            raise

    def _begin(self, scheduler: Scheduler) -> None:
        kind, ways = ("write", _WRITES) if self._writes else ("read", _READS)
        self._way = scheduler.step(f"db: {kind} {self._name}", ways)
        if self._way == "down":
            raise exception.DBConnectionError
        self._steps = scheduler.steps

    def __exit__(
        self,
        type_: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        try:
            return self._end(type_, error, trace)
        finally:
            Transaction._open -= 1
            if not Transaction._open:
                Transaction.ended()

    def _end(
        self,
        type_: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        if self._steps and self.scheduler is not None:
            assert self._steps == self.scheduler.steps, "somebody came in between"
        if self._way == "deadlock" and error is None:
            error = exception.DBDeadlock()
            self._real.__exit__(type(error), error, trace)
            raise error
        ended = self._real.__exit__(type_, error, trace)
        if self._way == "unanswered" and error is None:
            raise exception.DBConnectionError
        return ended


def _scope(manager: Any, context: Any) -> Transaction:
    """Give the block of a function that oslo.db has wrapped, or of another one."""
    # The wrapper knows its function; others have no name.
    function = sys._getframe(1).f_locals.get("fn")
    name = getattr(function, "__name__", "by a query")
    real = _real_scope(manager, context)
    return Transaction(real, name, writes=manager._mode is enginefacade._WRITER)


def install() -> None:
    """Patch this process, for good."""
    # It would let other threads go on, and there are none.
    vars(engines)["time"] = SimpleNamespace(sleep=lambda _seconds: None)
    _Manager._transaction_scope = _scope
