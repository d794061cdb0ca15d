# SPDX-License-Identifier: Apache-2.0
"""Glance, the image service: only scenarios that copy volumes and images start it."""

import sys
from pathlib import Path

from lab.plan import CONTROL
from lab.sandbox import Sandbox
from lab.services.accounts import Passwords
from lab.services.daemon import BIN, Daemon, answers, environment
from lab.services.files import Settings, write_settings
from lab.services.middleware import login
from lab.workdir import WorkFolder

NAME = "glance"
PORT = 9292
URL = f"http://{CONTROL}:{PORT}"


def _settings(work: WorkFolder, passwords: Passwords) -> Settings:
    return {
        "DEFAULT": {
            "enabled_backends": "folder:file",
            "debug": "true",
            "node_staging_uri": f"file://{work.inside(NAME, 'staging')}",
            "enabled_import_methods": "[]",
        },
        "database": {"connection": f"sqlite:///{work.inside(NAME, 'glance.db')}"},
        "glance_store": {"default_backend": "folder"},
        "folder": {"filesystem_store_datadir": work.inside(NAME, "images")},
        # Glance makes these two for itself, and wants to know where.
        "os_glance_staging_store": {
            "filesystem_store_datadir": work.inside(NAME, "staging")
        },
        "os_glance_tasks_store": {
            "filesystem_store_datadir": work.inside(NAME, "tasks")
        },
        "paste_deploy": {
            "flavor": "keystone",
            "config_file": str(Path(sys.prefix, "etc/glance/glance-api-paste.ini")),
        },
        "keystone_authtoken": {
            **login("glance", passwords),
            "interface": "public",  # there is no other in the catalogue
        },
    }


def configure(work: WorkFolder, passwords: Passwords) -> None:
    """Write Glance's configuration, and make its folders."""
    for name in ("images", "staging", "tasks"):
        (work.path / NAME / name).mkdir(parents=True)
    write_settings(work.path / "etc/glance/glance-api.conf", _settings(work, passwords))


def make_schema(sandbox: Sandbox, work: WorkFolder) -> None:
    """Make the tables of Glance's database, or bring them up to date."""
    files = work.inside("etc", "glance", "glance-api.conf")
    argv = [str(BIN / "glance-manage"), "--config-file", files, "db", "sync"]
    log = work.log("glance-manage")
    sandbox.run(argv, env=environment(work), log=log, timeout=120)


def daemon(sandbox: Sandbox, work: WorkFolder) -> Daemon:
    """Give the image service; :func:`make_schema` before its first start."""
    argv = [sys.executable, "-m", "lab.services.wsgi", str(PORT), "4"]
    argv += ["glance.wsgi.api"]
    env = environment(work, OS_GLANCE_CONFIG_DIR=work.inside("etc", "glance"))
    return Daemon(sandbox, work, NAME, argv, answers(PORT), env=env)
