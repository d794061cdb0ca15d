# SPDX-License-Identifier: Apache-2.0
"""Hosts wait for ``restore`` and ``unexport``, so these import nothing that is slow.

Each call is a process of its own: in this one all has been imported.
"""

import subprocess
import sys

import pytest
from cinder.db import api
from cinder.volume import driver, manager
from cinder.volume.drivers import lvm

from taikun_cinder import cinder_options
from taikun_cinder.cli.backends import DRIVER

#: What takes a tenth of a second or more, several times that on a busy node, and is of
#: no use for what goes by the records and by the kernel.
SLOW = {
    "cinder.context": "the policies of all of Cinder's API",
    "cinder.db": "SQLAlchemy, and the tables",
    "cinder.objects": "the database, too",
    "cinder.scheduler": "the database, too",
    "cinder.volume.driver": "Cinder's objects, images and all transports of os-brick",
    "cinder.volume.manager": "all of these, and its task flows",
    "cinder.volume.volume_utils": "Cinder's objects, and the clients of Keystone",
    "keystoneauth1": "asks nobody",
    "oslo_db": "asks no database",
    "oslo_messaging": "asks nobody by the bus",
    "prometheus_client": "counts nothing",
    "requests": "asks nobody",
    "sqlalchemy": "asks no database",
    "taskflow": "has no flows",
}

_CALL = """\
import sys
from taikun_cinder.cli import main
status = main.main(sys.argv[1:])
print("IMPORTED", status, *sys.modules, file=sys.stderr)
"""


@pytest.fixture
def imported(tmp_path):
    """Return a function that calls the command; its status, and what it imported."""
    (tmp_path / "records").mkdir()
    file = tmp_path / "cinder.conf"
    file.write_text(
        "[DEFAULT]\nenabled_backends = lvm\n"
        f"state_path = {tmp_path}\nlog_file = {tmp_path}/log\n"
        f"[lvm]\nvolume_driver = {DRIVER}\ntarget_helper = lioadm\n"
        f"volume_group = nowhere\ntaikun_state_path = {tmp_path}/records\n"
        "[taikun_cinder_privsep]\nhelper_command = false\n"
    )

    def call(*arguments):
        run = [sys.executable, "-W", "ignore", "-c", _CALL, f"--config-file={file}"]
        done = subprocess.run(
            [*run, *arguments], capture_output=True, text=True, check=True
        )
        said, _, rest = done.stderr.partition("IMPORTED")
        status, *modules = rest.split()
        return int(status), done.stdout + said, set(modules)

    return call


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        # The target, and so the whole way to it, has been asked by then.
        (("unexport", "--backend", "lvm"), "a target of this driver cannot be read"),
        (("restore",), "back end [lvm] is not restored"),
        (("restore", "--backend", "lvm"), "back end [lvm] is not restored"),
    ],
)
def test_commands_that_hosts_wait_for_import_nothing_slow(imported, arguments, wrong):
    status, said, modules = imported(*arguments)
    assert (status, wrong in said) == (2, True), said
    slow = SLOW.keys() & modules
    assert {name: SLOW[name] for name in slow} == {}


def test_commands_that_read_the_database_have_it(imported):
    # Its options are registered when it is imported, and may be there only once.
    status, said, modules = imported("audit")
    assert "DuplicateOptError" not in said
    assert (status, "sqlalchemy" in modules) == (2, True), said


def test_options_without_cinder_are_cinders_own():
    own = {
        option.name: option
        for option in (
            *manager.volume_backend_opts,
            *driver.volume_opts,
            *driver.backup_opts,
            *lvm.volume_opts,
            *api.db_opts,
        )
    }
    for option in cinder_options.ALL_OPTS:
        assert _compared(option) == _compared(own[option.name])


def _compared(option):
    """Give all that a value follows from: all but the help."""
    parts = {**vars(option), "help": None, "_set_location": None}
    old = [vars(one) for one in parts.pop("deprecated_opts")]
    return type(option), parts, old
