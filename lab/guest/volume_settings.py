# SPDX-License-Identifier: Apache-2.0
"""The configuration of the one-kernel node's Cinder, and its database."""

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from cinder.common import config  # noqa: F401 - registers the options
from cinder.db import migration
from oslo_config import cfg
from oslo_log import log as logging

from lab.guest.sqlite import let_transactions_queue
from lab.plan import STORAGE_NODE, VOLUME_GROUP
from lab.workdir import INSIDE
from taikun_cinder.cinder_db import api as db_api

CONF = cfg.CONF
BACKEND = "lvm-shared"
HOST = f"storage@{BACKEND}"

#: Kept on the host, so that they outlive a crash of the node as a real disk does.
DATABASE = INSIDE / "nodes" / STORAGE_NODE.name / "cinder.sqlite"
SQLITE = f"sqlite:///{DATABASE}?timeout=60"
STATE = Path("/var/lib/cinder")
RECORDS = DATABASE.with_name("records")

_OPTIONS = {
    "volume_backend_name": BACKEND,
    "volume_group": VOLUME_GROUP,
    "target_helper": "lioadm",
    "target_protocol": "iscsi",
    "target_ip_address": STORAGE_NODE.storage_address,
    "lvm_type": "default",
    "volume_clear": "none",
    "taikun_state_path": str(RECORDS),
}


def configure(options: Mapping[str, str], database: str) -> None:
    """Write ``cinder.conf`` and read it, as cinder-volume does at its start.

    Args:
        options: the back end's that differ from the lab's.
        database: SQLAlchemy's URL of it.
    """
    STATE.mkdir(parents=True, exist_ok=True)
    etc = Path(sys.prefix) / "etc" / "cinder"
    conf = f"""\
[DEFAULT]
state_path = {STATE}
lock_path = {STATE}
rootwrap_config = {etc / "rootwrap.conf"}
transport_url = fake:/
enabled_backends = {BACKEND}
reinit_driver_count = 0
debug = true
[database]
connection = {database}
[coordination]
backend_url = file://{STATE}
[oslo_concurrency]
lock_path = {STATE}
[{BACKEND}]
"""
    conf += "".join(
        f"{key} = {value}\n" for key, value in {**_OPTIONS, **options}.items()
    )
    path = Path("/etc/cinder/cinder.conf")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(conf)
    log = INSIDE / "logs" / "cinder-volume.log"
    logging.register_options(CONF)
    CONF(
        ["--config-file", str(path), "--log-file", str(log)],
        project="cinder",
        default_config_files=[],
    )
    logging.setup(CONF, "cinder")


def make_database() -> None:
    """See that the database that is configured has its tables."""
    if CONF.database.connection != SQLITE:
        migration.db_sync()
        return
    fresh = DATABASE.with_suffix(".fresh")
    if fresh.exists() and not DATABASE.exists():
        shutil.copy(fresh, DATABASE)  # takes nothing, and the migrations seconds
    elif not DATABASE.exists():
        migration.db_sync()
        shutil.copy(DATABASE, fresh)
    let_transactions_queue(db_api.get_engine())
