# SPDX-License-Identifier: Apache-2.0
"""What the server of Cinder's database says of itself."""

import dataclasses
import time

import sqlalchemy
from cinder.db import migration
from oslo_utils import timeutils

from taikun_cinder.cinder_db import api as db

#: How each server tells its clock in UTC. SQLite has none of its own.
_CLOCKS = {
    "mysql": "SELECT UTC_TIMESTAMP(6)",
    "mariadb": "SELECT UTC_TIMESTAMP(6)",
    "postgresql": "SELECT timezone('utc', clock_timestamp())",
}


@dataclasses.dataclass(frozen=True)
class Database:
    """What the database's server says.

    Attributes:
        server: its kind and version.
        round_trip: how long it took to tell its clock, in seconds.
        ahead: how far its clock is ahead of this node's, in seconds; None if it has
            none of its own.
        revision: of Cinder's schema; None if there is none.
    """

    server: str
    round_trip: float
    ahead: float | None
    revision: str | None

    @classmethod
    def asked(cls) -> "Database":
        """Ask it.

        Raises:
            Exception: it cannot be reached.
        """
        engine = db.get_engine()
        question = _CLOCKS.get(engine.dialect.name)
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text("SELECT 1"))
            # What a login takes is over by now.
            begin, began = timeutils.utcnow(), time.monotonic()
            said = connection.execute(sqlalchemy.text(question or "SELECT 1")).scalar()
            took = time.monotonic() - began
            version = ".".join(map(str, engine.dialect.server_version_info or ()))
        ahead = None
        if question:
            ahead = (said - begin).total_seconds() - took / 2
        server = f"{engine.dialect.name} {version}".strip()
        return cls(server, took, ahead, migration.db_version())
