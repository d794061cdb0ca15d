# SPDX-License-Identifier: Apache-2.0
"""Cinder's services that need no kernel: its database's schema, API and scheduler."""

import sys

from lab.sandbox import Sandbox
from lab.services.accounts import Passwords
from lab.services.daemon import BIN, Daemon, answers, environment
from lab.services.rabbitmq import consumers
from lab.workdir import WorkFolder

PORT = 8776

# An attachment's update holds its thread until the storage node has answered, so the
# API needs more threads than a scenario has concurrent attaches.
_THREADS = "16"


def _arguments(work: WorkFolder) -> list[str]:
    files = [work.inside("etc", "cinder", f"{n}.conf") for n in ("cinder", "control")]
    return [argument for file in files for argument in ("--config-file", file)]


def make_schema(sandbox: Sandbox, work: WorkFolder) -> None:
    """Make the tables of Cinder's database, or bring them up to date."""
    argv = [str(BIN / "cinder-manage"), *_arguments(work), "db", "sync"]
    log = work.log("cinder-manage")
    sandbox.run(argv, env=environment(work), log=log, timeout=180)


def api(sandbox: Sandbox, work: WorkFolder) -> Daemon:
    """Give cinder-api."""
    argv = [sys.executable, "-m", "lab.services.wsgi", str(PORT), _THREADS]
    argv += ["cinder.wsgi.api", *_arguments(work)]
    return Daemon(sandbox, work, "cinder-api", argv, answers(PORT))


def scheduler(sandbox: Sandbox, work: WorkFolder, passwords: Passwords) -> Daemon:
    """Give cinder-scheduler."""
    name = "cinder-scheduler"
    argv = [str(BIN / name), *_arguments(work)]
    return Daemon(sandbox, work, name, argv, lambda: consumers(passwords, name) > 0)
