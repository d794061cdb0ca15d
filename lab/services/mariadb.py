# SPDX-License-Identifier: Apache-2.0
"""MariaDB, Cinder's database: private to the lab, and quick rather than safe."""

import getpass
from typing import Any

import pymysql

from lab.plan import CONTROL, MANAGEMENT
from lab.sandbox import Sandbox
from lab.services.accounts import Passwords
from lab.services.daemon import Daemon, answers, environment
from lab.services.files import write_private
from lab.workdir import WorkFolder

PORT = 3306


def _options(work: WorkFolder) -> list[str]:
    return [
        "--no-defaults",  # it must come first: /etc/mysql is the host's, not ours
        f"--datadir={work.inside('mysql')}",
        f"--tmpdir={work.inside('tmp')}",
        f"--user={getpass.getuser()}",
        "--skip-name-resolve",
        "--performance-schema=OFF",
        # Nothing in a lab outlives a power failure, so nothing is worth a flush.
        "--innodb-flush-log-at-trx-commit=0",
        "--innodb-flush-method=nosync",
        "--innodb-doublewrite=OFF",
        "--innodb-log-file-size=16M",  # of 96 MB, which would be written out whole
    ]


def connection(passwords: Passwords, database: str = "cinder") -> str:
    """Give the URL of a database for SQLAlchemy."""
    account = f"cinder:{passwords['mariadb']}"
    return f"mysql+pymysql://{account}@{CONTROL}:{PORT}/{database}?charset=utf8mb4"


def connect(passwords: Passwords) -> Any:
    """Connect to Cinder's database; the thread must have joined the lab's network."""
    return pymysql.connect(
        host=CONTROL,
        port=PORT,
        user="cinder",
        password=passwords["mariadb"],
        database="cinder",
        autocommit=True,
    )


def install(sandbox: Sandbox, work: WorkFolder, passwords: Passwords) -> None:
    """Make the server's own tables, and the statements that make Cinder's database."""
    password = passwords["mariadb"]
    script = f"CREATE USER IF NOT EXISTS {_user()} IDENTIFIED BY '{password}';\n"
    write_private(work.path / "etc/mariadb.sql", script + _database("cinder"))
    command = ["mariadb-install-db", *_options(work), "--skip-test-db"]
    log = work.log("mariadb")
    sandbox.run(command, env=environment(work), log=log, timeout=60)


def _user() -> str:
    network = MANAGEMENT.format(0).replace("/24", "/255.255.255.0")
    return f"'cinder'@'{network}'"


def _database(name: str) -> str:
    """Give the statements that make a database, and let the lab's one user in."""
    return (
        f"CREATE DATABASE IF NOT EXISTS {name} CHARACTER SET utf8mb4;\n"
        f"GRANT ALL ON {name}.* TO {_user()};\n"
    )


def add_databases(sandbox: Sandbox, work: WorkFolder, *names: str) -> None:
    """Make more databases in the running server, for services beside Cinder's."""
    socket = f"--socket={work.inside('mysql', 'socket')}"
    statements = "".join(map(_database, names))
    command = ["mariadb", "--no-defaults", socket, f"--execute={statements}"]
    log = work.log("mariadb-client")
    sandbox.run(command, env=environment(work), log=log, timeout=60)


def daemon(sandbox: Sandbox, work: WorkFolder) -> Daemon:
    """Give the database server; :func:`install` it before its first start."""
    argv = [
        "mariadbd",
        *_options(work),
        f"--bind-address={CONTROL}",
        f"--port={PORT}",
        f"--socket={work.inside('mysql', 'socket')}",
        f"--pid-file={work.inside('mysql', 'pid')}",
        f"--init-file={work.inside('etc', 'mariadb.sql')}",
    ]
    return Daemon(sandbox, work, "mariadb", argv, answers(PORT))
