# SPDX-License-Identifier: Apache-2.0
"""SQLite in the place of MariaDB, for one process with threads."""

from typing import Any

from sqlalchemy import event


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
