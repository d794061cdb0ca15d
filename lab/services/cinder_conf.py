# SPDX-License-Identifier: Apache-2.0
"""Cinder's configuration, the same for the control plane and the storage node.

``etc/cinder/cinder.conf`` is what every service reads. What differs on the control
plane (its own name, address and folders) is in ``control.conf``, read after it.
"""

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from lab.errors import LabError
from lab.plan import CONTROL, SECOND_GROUP, STORAGE_NODE, VOLUME_GROUP
from lab.services import glance
from lab.services.accounts import AUTH_URL, Passwords
from lab.services.daemon import BIN
from lab.services.files import Settings, read_settings, write_settings
from lab.services.mariadb import connection
from lab.services.middleware import login
from lab.services.rabbitmq import transport_url
from lab.workdir import WorkFolder

#: The control plane's name in Cinder's list of services.
CONTROL_HOST = "control"

#: Each node's own folder for Cinder's state: never shared, as its locks are files.
STATE = "/var/lib/cinder"

#: Where a node has these files, readable for Cinder's user. Its rootwrap is started by
#: sudo, which allows it with the configuration there.
ETC = "/etc/cinder"

#: Where node_exporter's textfile collector would look.
METRICS = "/var/lib/node_exporter"

BACKEND = "lvm-shared"

#: A back end with several portals: IPv6 first, then IPv4, at a port of its own. Its
#: reconcile is so quick that a test can wait for many. A cinder-volume of its own
#: serves it, which is started where it is needed.
PATHS_BACKEND = "lvm-paths"
PATHS_INTERVAL = 5
PATHS_PATIENCE = 40
PATHS_PORT = 3261

#: A back end that is kept for multi-attach volumes, and has room for one. A service of
#: its own, too.
KEPT_BACKEND = "lvm-kept"

#: How soon the scheduler hears of a change of its room, in seconds. Cinder looks for
#: what is due, as its statistics are, only every ``periodic_interval`` (60 s by
#: default), however short ``backend_stats_polling_interval`` is. Each time costs the
#: node some commands of LVM's, so no other service does it as often.
KEPT_INTERVAL = "10"


def settings_of(backend: str) -> str:
    """Give the file by which a cinder-volume serves this one of the back ends alone."""
    return f"{ETC}/{backend}.conf"


def backend(name: str, **options: str) -> dict[str, str]:
    """Give the section of a back end with this driver; options may be replaced."""
    return {
        "volume_driver": "taikun_cinder.driver.MultiattachLVMDriver",
        "volume_backend_name": name,
        "volume_group": VOLUME_GROUP,
        "lvm_type": "default",
        "target_helper": "lioadm",
        "target_protocol": "iscsi",
        "target_ip_address": STORAGE_NODE.storage_address,
        # The node's disk is a sparse file in memory: zeroing a deleted volume would
        # fill the memory with zeroes, and take longer than most tests.
        "volume_clear": "none",
        "taikun_metrics_folder": METRICS,
        **options,
    }


def _paths() -> dict[str, str]:
    return backend(
        PATHS_BACKEND,
        volume_group=SECOND_GROUP,
        target_ip_address=STORAGE_NODE.storage_address_ipv6,
        target_secondary_ip_addresses=STORAGE_NODE.storage_address,
        target_port=str(PATHS_PORT),
        taikun_reconcile_interval=str(PATHS_INTERVAL),
        taikun_login_patience=str(PATHS_PATIENCE),
        taikun_database_patience="15",
    )


def _defaults(etc: Path, passwords: Passwords) -> dict[str, str]:
    return {
        "debug": "true",
        "transport_url": transport_url(passwords),
        "state_path": STATE,
        "auth_strategy": "keystone",
        "api_paste_config": str(etc / "api-paste.ini"),
        "resource_query_filters_file": str(etc / "resource_filters.json"),
        "rootwrap_config": f"{ETC}/rootwrap.conf",
        # A node's kernel is slow under load. It must not be thought dead, nor a call
        # be given up, while it only works its way through.
        "service_down_time": "300",
        "rpc_response_timeout": "180",
        "report_interval": "10",
        # Backups go to a folder of the node that makes them, piece by piece: by default
        # a piece is as large as twice the node's memory.
        "backup_driver": "cinder.backup.drivers.posix.PosixBackupDriver",
        "backup_file_size": str(32 * 2**20),
        # For images of volumes that are in use; Cinder refuses them by default.
        "enable_force_upload": "true",
        "glance_api_servers": glance.URL,
        # The scheduler holds requests back for this long after its start.
        "scheduler_driver_init_wait_time": "1",
        "scheduler_default_filters": (
            "AvailabilityZoneFilter,CapacityFilter,CapabilitiesFilter,"
            "TaikunMultiattachFilter"
        ),
        # Scenarios make as many volumes as they like. Cinder copies these into its
        # database with the schema: a later change here changes nothing.
        "quota_volumes": "-1",
        "quota_snapshots": "-1",
        "quota_gigabytes": "-1",
    }


def default_settings(work: WorkFolder, passwords: Passwords) -> Settings:
    """Give the settings of a lab with one back end, free to be changed by the caller.

    New back ends must be named in ``DEFAULT``'s ``enabled_backends`` too, which
    :func:`add_backends` does.
    """
    etc = Path(work.inside("etc", "cinder"))
    settings = {
        "DEFAULT": _defaults(etc, passwords),
        "database": {"connection": connection(passwords)},
        "coordination": {"backend_url": "file://$state_path"},
        "oslo_concurrency": {"lock_path": f"{STATE}/locks"},
        "oslo_policy": {
            "policy_file": str(etc / "policy.yaml"),
            "policy_dirs": str(etc / "policy.d"),
        },
        "keystone_authtoken": {
            **login("cinder", passwords),
            "www_authenticate_uri": AUTH_URL,
            "interface": "public",  # there is no other in the catalogue
            "service_token_roles": "service",
            "service_token_roles_required": "true",
        },
        "service_user": {
            **login("cinder", passwords),
            "send_service_user_token": "true",
        },
        "nova": login("nova", passwords),
    }
    add_backends(settings, {BACKEND: backend(BACKEND)})
    settings[PATHS_BACKEND] = _paths()
    settings[KEPT_BACKEND] = backend(
        KEPT_BACKEND,
        volume_group=SECOND_GROUP,
        taikun_multiattach_only="true",
        taikun_max_multiattach_volumes="1",
        taikun_max_hosts="8",
    )
    return settings


def add_backends(settings: Settings, backends: Mapping[str, dict[str, str]]) -> None:
    """Put back ends into ``settings``; one of the same name is replaced."""
    settings.update(backends)
    enabled = settings["DEFAULT"].get("enabled_backends", "").split(",")
    names = dict.fromkeys([name for name in enabled if name] + list(backends))
    settings["DEFAULT"]["enabled_backends"] = ",".join(names)


def _control_settings(work: WorkFolder) -> Settings:
    state = work.inside("cinder")
    return {
        "DEFAULT": {"host": CONTROL_HOST, "my_ip": CONTROL, "state_path": state},
        "oslo_concurrency": {"lock_path": f"{state}/locks"},
    }


def _copy_installed_files(work: WorkFolder) -> None:
    """Take over the files that Cinder and os-brick install beside their code."""
    installed = Path(sys.prefix, "etc")
    etc = work.path / "etc/cinder"
    try:
        for name in ("api-paste.ini", "resource_filters.json"):
            shutil.copyfile(installed / "cinder" / name, etc / name)
        for package in ("cinder", "os-brick"):
            filters = installed / package / "rootwrap.d"
            shutil.copytree(filters, etc / "rootwrap.d", dirs_exist_ok=True)
    except FileNotFoundError as missing:
        raise LabError(
            f"Cinder's files are not in {installed}/cinder; install cinder with pip "
            "into the environment of the Python that runs the lab"
        ) from missing
    rootwrap = {
        "filters_path": f"{ETC}/rootwrap.d",
        "exec_dirs": f"{BIN},/usr/sbin,/usr/bin,/sbin,/bin",
    }
    write_settings(etc / "rootwrap.conf", {"DEFAULT": rootwrap})


def write_files(work: WorkFolder, passwords: Passwords) -> None:
    """Lay ``etc/cinder`` with everything that a Cinder service reads."""
    etc = work.path / "etc/cinder"
    (etc / "policy.d").mkdir(parents=True)
    (work.path / "cinder").mkdir()
    _copy_installed_files(work)
    write_settings(etc / "control.conf", _control_settings(work))
    for name in (PATHS_BACKEND, KEPT_BACKEND):
        only = {"enabled_backends": name}
        if name == KEPT_BACKEND:
            only |= {
                "backend_stats_polling_interval": KEPT_INTERVAL,
                "periodic_interval": KEPT_INTERVAL,
                "periodic_fuzzy_delay": "0",
            }
        write_settings(etc / Path(settings_of(name)).name, {"DEFAULT": only})
    save(work, default_settings(work, passwords))


def save(work: WorkFolder, settings: Settings) -> None:
    """Write ``cinder.conf``; the services read it when they are started again."""
    write_settings(work.path / "etc/cinder/cinder.conf", settings)


def load(work: WorkFolder) -> Settings:
    """Read ``cinder.conf`` as it is now."""
    return read_settings(work.path / "etc/cinder/cinder.conf")
