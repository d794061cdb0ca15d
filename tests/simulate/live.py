# SPDX-License-Identifier: Apache-2.0
"""The rows of Cinder's real database, as those see them who only look: never stale."""

import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any

from tests.simulate.tables import Values


class Row(dict[str, Any]):
    """A row as it is now. What is set in it is in the database at once."""

    def __init__(self, table: "Table", key: str) -> None:
        super().__init__()
        self._table, self._key = table, key

    def __setitem__(self, name: str, value: Any) -> None:
        self.update({name: value})

    def update(self, *values: Any, **named: Any) -> None:
        """Write some values."""
        self._table.write(self._key, dict(*values, **named))

    def read(self, values: Mapping[str, Any]) -> None:
        """Take what the database has."""
        super().update(values)


class Table(Mapping[str, Row]):
    """A table, by one of its columns, in the order in which its rows were made.

    Args:
        connection: the only one that the process has to its database.
        name: of the table.
        key: the name of the column.
    """

    def __init__(
        self, connection: sqlite3.Connection, name: str, key: str = "id"
    ) -> None:
        self._connection, self._name, self._key = connection, name, key
        self._rows: dict[str, Row] = {}

    def __getitem__(self, key: str) -> Row:
        return self._rows[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def refresh(self) -> None:
        """See what is in the database now."""
        found = {}
        for values in self._all():
            key = values[self._key]
            found[key] = self._rows.get(key) or Row(self, key)
            found[key].read(values)
        self._rows = found

    def _all(self) -> Iterator[Values]:
        query = f"SELECT * FROM {self._name} ORDER BY created_at, rowid"  # noqa: S608
        cursor = self._connection.execute(query)
        names = [column[0] for column in cursor.description]
        for values in cursor:
            yield dict(zip(names, values, strict=True))

    def add(self, values: Mapping[str, Any]) -> None:
        """Insert a row."""
        names, marks = ", ".join(values), ", ".join("?" * len(values))
        query = f"INSERT INTO {self._name} ({names}) VALUES ({marks})"  # noqa: S608
        self._do(query, list(values.values()))

    def write(self, key: str, values: Mapping[str, Any]) -> None:
        """Change a row."""
        changes = ", ".join(f"{name} = ?" for name in values)
        query = f"UPDATE {self._name} SET {changes} WHERE {self._key} = ?"  # noqa: S608
        self._do(query, [*values.values(), key])

    def remove(self, key: str) -> Values | None:
        """Take a row out; give it, or None if there is none."""
        row = self._rows.get(key)
        query = f"DELETE FROM {self._name} WHERE {self._key} = ?"  # noqa: S608
        self._do(query, [key])
        return None if row is None else dict(row)

    def _do(self, query: str, values: list[Any]) -> None:
        self._connection.execute(query, values)
        self._connection.commit()
        self.refresh()
