# SPDX-License-Identifier: Apache-2.0
"""Cinder's database comes back from an earlier dump, and knows less than the hosts."""

import contextlib
import dataclasses
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pymysql
from cinderclient import exceptions

from lab.services import mariadb
from tests.chaos.book import FAULTS as LANE
from tests.chaos.book import Book
from tests.chaos.cluster import ChaosCluster
from tests.chaos.people import until_done

#: How old the dump is when it comes back, in seconds, beside the fault's own time.
_AGE = 20.0

#: How long the database may take to end, in seconds.
_ENDS = 30.0

#: How long one tries to delete an attachment that came back, in seconds.
_PATIENCE = 120.0

#: MariaDB's numbers for a transaction that has to be made again.
_AGAIN = (1205, 1213)


@dataclasses.dataclass(frozen=True)
class Dump:
    """All rows of Cinder's database at one time.

    Attributes:
        tables: each with its rows, and each of these with its columns.
    """

    tables: Mapping[str, Sequence[Mapping[str, Any]]]

    @classmethod
    def take(cls, connection: Any) -> "Dump":
        """Read it, in one transaction."""
        with connection.cursor(pymysql.cursors.DictCursor) as cursor:
            cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
            cursor.execute("SHOW TABLES")
            tables = {}
            for name in [next(iter(row.values())) for row in cursor.fetchall()]:
                cursor.execute(f"SELECT * FROM `{name}`")  # noqa: S608 - its own
                tables[name] = cursor.fetchall()
            cursor.execute("COMMIT")
        return cls(tables)

    def put_back(self, connection: Any) -> None:
        """Let the database be as it was, in one transaction."""
        with connection.cursor() as cursor:
            cursor.execute("SET foreign_key_checks = 0")
            cursor.execute("START TRANSACTION")
            for name, rows in self.tables.items():
                cursor.execute(f"DELETE FROM `{name}`")  # noqa: S608 - its own
                if rows:
                    names = ", ".join(f"`{column}`" for column in rows[0])
                    marks = ", ".join(["%s"] * len(rows[0]))
                    cursor.executemany(
                        f"INSERT INTO `{name}` ({names}) VALUES ({marks})",  # noqa: S608
                        [tuple(row.values()) for row in rows],
                    )
            cursor.execute("COMMIT")
            cursor.execute("SET foreign_key_checks = 1")

    def attachments(self) -> dict[str, bool]:
        """Give those that it knows, each with whether it knows their host, too."""
        return {
            row["id"]: row["connector"] is not None
            for row in self.tables["volume_attachment"]
            if not row["deleted"]
        }


@contextlib.contextmanager
def database(cluster: ChaosCluster, book: Book) -> Iterator[None]:
    """Let MariaDB come back from a dump of the block's begin.

    What an operator does then is done, too: the attachments that are there again, and
    whose servers are gone, are deleted.
    """
    passwords = cluster.control.passwords
    with contextlib.closing(mariadb.connect(passwords)) as connection:
        dump = Dump.take(connection)
    threading.Event().wait(_AGE)
    yield
    daemon = cluster.daemons["mariadb"]
    daemon.stop(_ENDS)
    daemon.start()
    since = book.now()
    with contextlib.closing(mariadb.connect(passwords)) as connection:
        _put_back(dump, connection)
    for attachment in sorted(book.database_is_earlier(since, dump.attachments())):
        _delete(cluster, book, attachment)


def _put_back(dump: Dump, connection: Any) -> None:
    while True:
        try:
            dump.put_back(connection)
        except pymysql.err.OperationalError as error:
            connection.rollback()
            if error.args[0] not in _AGAIN:
                raise
        else:
            return


def _delete(cluster: ChaosCluster, book: Book, attachment: str) -> None:
    since = book.now()

    def delete() -> None:
        with contextlib.suppress(exceptions.NotFound):
            cluster.clients.volume("admin", "nova").attachments.delete(attachment)

    done = until_done(delete, _PATIENCE)
    text = f"attachment {attachment}, which came back, is deleted"
    book.note(LANE, text if done else f"not {text}", since, good=done)
