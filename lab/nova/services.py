# SPDX-License-Identifier: Apache-2.0
"""Nova's services that need no kernel: Placement, the API, conductor and scheduler."""

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from lab.nova import conf, neutron
from lab.plan import CONTROL
from lab.sandbox import Sandbox
from lab.services import glance, mariadb
from lab.services.accounts import REGION, Passwords
from lab.services.daemon import Daemon, answers, environment
from lab.services.rabbitmq import consumers
from lab.workdir import WorkFolder

Progress = Callable[[str], object]

COMPUTE_PORT = 8774
PLACEMENT_PORT = 8778

#: What is added to the catalogue: the type of a service, and its address.
ENDPOINTS = {
    "compute": f"http://{CONTROL}:{COMPUTE_PORT}/v2.1",
    "placement": f"http://{CONTROL}:{PLACEMENT_PORT}",
    "image": glance.URL,
}


def _environment(work: WorkFolder) -> dict[str, str]:
    etc = conf.folder(work, "control")
    return environment(
        work,
        PATH=f"{conf.BIN}:/usr/sbin:/usr/bin:/sbin:/bin",
        PYTHONWARNINGS="ignore",
        OS_NOVA_CONFIG_DIR=etc,
        OS_PLACEMENT_CONFIG_DIR=etc,
    )


def _arguments(work: WorkFolder, name: str) -> list[str]:
    return ["--config-file", f"{conf.folder(work, 'control')}/{name}.conf"]


def make_schemas(sandbox: Sandbox, work: WorkFolder) -> None:
    """Make the databases of Nova and Placement with their tables, and Nova's cells."""
    mariadb.add_databases(
        sandbox, work, conf.NOVA, conf.CELL_0, conf.API, conf.PLACEMENT
    )

    def manage(what: str, *command: str) -> None:
        argv = [str(conf.BIN / f"{what}-manage"), *_arguments(work, what), *command]
        log = work.log(f"{what}-manage")
        sandbox.run(argv, env=_environment(work), log=log, timeout=300)

    with ThreadPoolExecutor() as pool:
        placement = pool.submit(manage, "placement", "db", "sync")
        manage("nova", "api_db", "sync")
        manage("nova", "cell_v2", "map_cell0")
        manage("nova", "db", "sync")
        manage("nova", "cell_v2", "create_cell", "--name", "cell1")
        placement.result()


def fill_catalogue(identity: Any) -> None:
    """Tell Keystone's catalogue of the services.

    Args:
        identity: an administrator's client of Keystone.
    """
    known = {service.type for service in identity.services.list()}
    for name, url in ENDPOINTS.items():
        if name not in known:
            made = identity.services.create(name, type=name)
            identity.endpoints.create(made, url, interface="public", region=REGION)


def daemons(
    sandbox: Sandbox, work: WorkFolder, passwords: Passwords
) -> dict[str, Daemon]:
    """Give the services by their names; :func:`make_schemas` before their first start.

    Those that others call come first.
    """
    env = _environment(work)

    def wsgi(name: str, port: int, module: str) -> Daemon:
        argv = [str(conf.BIN / "python"), "-m", "lab.services.wsgi", str(port), "8"]
        return Daemon(
            sandbox, work, name, [*argv, module], answers(port), env=env, timeout=300
        )

    def worker(name: str, topic: str) -> Daemon:
        argv = [str(conf.BIN / name), *_arguments(work, "nova")]

        def ready() -> bool:
            return consumers(passwords, topic) > 0

        return Daemon(sandbox, work, name, argv, ready, env=env, timeout=300)

    stub = [sys.executable, "-m", "lab.nova.neutron"]
    all_of_them = (
        Daemon(sandbox, work, "neutron", stub, answers(neutron.PORT)),
        wsgi("placement", PLACEMENT_PORT, "placement.wsgi.api"),
        worker("nova-conductor", "conductor"),
        worker("nova-scheduler", "scheduler"),
        wsgi("nova-api", COMPUTE_PORT, "nova.wsgi.osapi_compute"),
    )
    return {daemon.name: daemon for daemon in all_of_them}
