# SPDX-License-Identifier: Apache-2.0
"""MariaDB beside the node that is measured, over the network as an operator's is.

The lab's tests of one node have SQLite instead, which oslo.db opens anew for each
session: that would be most of what an attach takes.
"""

from lab.sandbox import Sandbox
from lab.services import mariadb
from lab.services.accounts import make_passwords
from lab.services.files import write_private
from lab.workdir import INSIDE, WorkFolder

_FILE = "etc/database"

#: Where the node finds the database's URL.
DATABASE = INSIDE / _FILE


def start(sandbox: Sandbox, work: WorkFolder) -> None:
    """Start it, empty; the calling thread has joined the lab's network.

    Raises:
        LabError: it does not start.
    """
    passwords = make_passwords(work)
    mariadb.install(sandbox, work, passwords)
    mariadb.daemon(sandbox, work).start()
    write_private(work.path / _FILE, mariadb.connection(passwords))
