# SPDX-License-Identifier: Apache-2.0
"""Gives the one-kernel node back the state that it had after its boot."""

import contextlib
import shutil

from rtslib_fb import RTSRoot

from lab.guest.system import run
from lab.plan import STORAGE_NODE, VOLUME_GROUP
from lab.workdir import INSIDE


def forget_everything() -> None:
    """Log all initiators out; remove all exports, volumes, records and rows."""
    for argv in (
        ("iscsiadm", "-m", "node", "--logoutall=all"),
        ("iscsiadm", "-m", "node", "-o", "delete"),
    ):
        with contextlib.suppress(RuntimeError):  # where there are none
            run(*argv)
    forget_exports()
    run("lvremove", "--yes", VOLUME_GROUP)
    database = INSIDE / "nodes" / STORAGE_NODE.name / "cinder.sqlite"
    database.unlink(missing_ok=True)
    shutil.rmtree(database.with_name("records"), ignore_errors=True)


def forget_exports() -> None:
    """Remove all that LIO has, as a reboot does."""
    RTSRoot().clear_existing(confirm=True)
