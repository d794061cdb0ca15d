# SPDX-License-Identifier: Apache-2.0
"""SQLite in the place of MariaDB, for one process with threads."""

from typing import Any

from sqlalchemy import event, pool


def let_transactions_queue(engine: Any) -> None:
    """Let each transaction begin by locking the database.

    SQLite fails at once ("database is locked") when two that began by reading both
    want to write. MariaDB and PostgreSQL let them wait; so does SQLite then.

    Args:
        engine: SQLAlchemy's, of a database of oslo.db, which begins transactions by a
            statement of its own.
    """

    @event.listens_for(engine, "before_cursor_execute", retval=True)
    def begin_by_locking(
        _connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any
    ) -> tuple[str, Any]:
        wanted = "BEGIN IMMEDIATE" if statement == "BEGIN" else statement
        return wanted, parameters


def keep_connections(engine: Any) -> None:
    """Let a connection be used again, where oslo.db opens one for each transaction.

    SQLite reads the whole schema when it is opened, and Cinder's is long: that takes
    longer than the transaction.

    Args:
        engine: SQLAlchemy's, of a database of oslo.db that is in a file.
    """
    opens = engine.pool
    engine.pool = pool.QueuePool(
        opens._creator, pool_size=0, dialect=engine.dialect, _dispatch=opens.dispatch
    )
