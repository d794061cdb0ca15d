# SPDX-License-Identifier: Apache-2.0
"""Keystone, the identity service."""

import base64
import secrets
import sys

from lab.sandbox import Sandbox
from lab.services.daemon import Daemon, answers, environment
from lab.services.files import Settings, write_private, write_settings
from lab.workdir import WorkFolder

PORT = 5000


def _settings(work: WorkFolder) -> Settings:
    tokens = work.inside("keystone", "fernet-keys")
    return {
        "database": {
            "connection": f"sqlite:///{work.inside('keystone', 'keystone.db')}"
        },
        # The fewest that bcrypt has: the passwords are random and live for hours.
        # And bcrypt takes 72 bytes: with a longer maximum each login logs a warning.
        "identity": {"password_hash_rounds": "4", "max_password_length": "72"},
        "fernet_tokens": {"key_repository": tokens},
        "fernet_receipts": {"key_repository": tokens},
        "credential": {"key_repository": work.inside("keystone", "credential-keys")},
    }


def configure(work: WorkFolder) -> None:
    """Write Keystone's configuration and its keys.

    A key repository is a folder with a staged key ``0`` and a primary key ``1``, see
    "Fernet - Frequently Asked Questions" in Keystone's documentation. Writing them here
    spares two starts of keystone-manage.
    """
    write_settings(work.path / "etc/keystone/keystone.conf", _settings(work))
    for repository in ("fernet-keys", "credential-keys"):
        folder = work.path / "keystone" / repository
        folder.mkdir(parents=True)
        folder.chmod(0o700)
        for name in ("0", "1"):
            key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
            write_private(folder / name, key)


def seed(sandbox: Sandbox, work: WorkFolder) -> None:
    """Make Keystone's tables, the users, their projects and the service catalogue."""
    command = [sys.executable, "-m", "lab.services.keystone_seed"]
    log = work.log("keystone")
    sandbox.run(command, env=_environment(work), log=log, timeout=120)


def daemon(sandbox: Sandbox, work: WorkFolder) -> Daemon:
    """Give the identity service; :func:`seed` it before its first start.

    It takes one request at a time. SQLite refuses a transaction that has read and now
    wants to write while another one writes, however long it would be waited for.
    """
    argv = [sys.executable, "-m", "lab.services.wsgi", str(PORT), "1"]
    argv += ["keystone.wsgi.api"]
    return Daemon(
        sandbox, work, "keystone", argv, answers(PORT), env=_environment(work)
    )


def _environment(work: WorkFolder) -> dict[str, str]:
    files = work.inside("etc", "keystone", "keystone.conf")
    return environment(work, OS_KEYSTONE_CONFIG_FILES=files)
