# SPDX-License-Identifier: Apache-2.0
"""Cinder's database comes back from a dump of a run of chaos as it was."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.network import coming_up
from lab.services import cinder, cinder_conf, mariadb
from lab.services.accounts import make_passwords
from lab.workdir import WorkFolder
from tests.chaos.earlier import Dump

pytestmark = pytest.mark.thorough  # of the harness, and not of the driver


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Any]:
    """MariaDB with Cinder's tables, and without any node."""
    work = WorkFolder(tmp_path)
    with coming_up(work) as sandbox, contextlib.closing(sandbox):
        passwords = make_passwords(work)
        cinder_conf.write_files(work, passwords)
        mariadb.install(sandbox, work, passwords)
        mariadb.daemon(sandbox, work).start()
        cinder.make_schema(sandbox, work)
        with contextlib.closing(mariadb.connect(passwords)) as connection:
            yield connection


def test_database_comes_back_as_it_was(connection: Any) -> None:
    with connection.cursor() as cursor:
        volume = "INSERT INTO volumes (id, volume_type_id, deleted) VALUES (%s, %s, 0)"
        attachment = (
            "INSERT INTO volume_attachment (id, volume_id, connector, deleted) "
            "VALUES (%s, 'v', %s, 0)"
        )
        cursor.execute("SELECT id FROM volume_types")
        (kind,) = cursor.fetchone()
        cursor.execute(volume, ("v", kind))
        cursor.execute(attachment, ("a", '{"host": "h"}'))
        cursor.execute(attachment, ("b", None))
        dump = Dump.take(connection)
        assert dump.attachments() == {"a": True, "b": False}

        cursor.execute("DELETE FROM volume_attachment WHERE id = 'a'")
        cursor.execute(attachment, ("c", "{}"))
        cursor.execute("UPDATE volumes SET size = 7")
        assert Dump.take(connection) != dump
        dump.put_back(connection)
        assert Dump.take(connection) == dump
        # What refers to another row has to find it from now on, as before.
        with pytest.raises(Exception, match="foreign key"):
            cursor.execute("DELETE FROM volumes")
