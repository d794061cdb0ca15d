# SPDX-License-Identifier: Apache-2.0
"""The configuration of Nova and Placement: on the control plane, and on a host."""

import shutil
import subprocess
import uuid

from lab.errors import LabError
from lab.nova import neutron
from lab.plan import CONTROL, NodePlan
from lab.services import glance
from lab.services.accounts import AUTH_URL, Passwords
from lab.services.files import Settings, write_private, write_settings
from lab.services.mariadb import connection
from lab.services.middleware import login
from lab.services.rabbitmq import transport_url
from lab.workdir import PROJECT, WorkFolder

#: Nova's virtual environment.
ENVIRONMENT = PROJECT / ".tox" / "venv-nova"
BIN = ENVIRONMENT / "bin"

#: The databases; Nova finds the one of its cell 0 by the ending.
NOVA, CELL_0, API, PLACEMENT = "nova", "nova_cell0", "nova_api", "placement"

#: Where each host has its own state: disks in memory, lost with the power.
STATE = "/var/lib/nova"


def folder(work: WorkFolder, host: str) -> str:
    """Give the folder of a host's ``nova.conf``, as the lab sees it."""
    return work.inside("etc", "nova", host)


def _authenticate(passwords: Passwords) -> dict[str, str]:
    return {
        **login("nova", passwords),
        "www_authenticate_uri": AUTH_URL,
        "interface": "public",  # there is no other in the catalogue
        "service_token_roles": "service",
        "service_token_roles_required": "true",
    }


def _nova(host: str, address: str, passwords: Passwords) -> Settings:
    """Give what each of Nova's services needs."""
    account = login("nova", passwords)
    return {
        "DEFAULT": {
            "debug": "true",
            "transport_url": transport_url(passwords),
            "host": host,
            "my_ip": address,
            "state_path": STATE,
            # A host works its way through slowly: it must not be given up meanwhile.
            # But an evacuation waits until a dead one counts as dead.
            "report_interval": "10",
            "service_down_time": "60",
            "rpc_response_timeout": "180",
            "long_rpc_timeout": "900",
            # As many servers as there is memory for, whatever they may use.
            "cpu_allocation_ratio": "16",
            "ram_allocation_ratio": "4",
            "disk_allocation_ratio": "16",
            "reserved_host_memory_mb": "0",
        },
        "oslo_concurrency": {"lock_path": f"{STATE}/locks"},
        "keystone_authtoken": _authenticate(passwords),
        "placement": dict(account),
        "cinder": {**account, "os_region_name": account["region_name"]},
        # So that Cinder lets Nova delete a server's attachment.
        "service_user": {**account, "send_service_user_token": "true"},
        "neutron": {**account, "endpoint_override": neutron.URL},
        "glance": {"endpoint_override": glance.URL},
        "filter_scheduler": {
            # A member says by hints which of two servers goes where. Hosts must not
            # tell the scheduler of their servers, which they do late.
            "enabled_filters": "ComputeFilter,DifferentHostFilter,SameHostFilter",
            "track_instance_changes": "false",
        },
    }


def _control(work: WorkFolder, passwords: Passwords) -> Settings:
    settings = _nova("control", CONTROL, passwords)
    settings["DEFAULT"]["state_path"] = work.inside("nova")
    settings["oslo_concurrency"]["lock_path"] = work.inside("nova", "locks")
    return settings | {
        "database": {"connection": connection(passwords, NOVA)},
        "api_database": {"connection": connection(passwords, API)},
        "conductor": {"workers": "1"},
        # New hosts are found without a call of nova-manage.
        "scheduler": {"workers": "1", "discover_hosts_in_cells_interval": "5"},
    }


def _host(work: WorkFolder, passwords: Passwords, plan: NodePlan) -> Settings:
    settings = _nova(plan.name, plan.management_address, passwords)
    settings["DEFAULT"] |= {
        "my_block_storage_ip": plan.storage_address,
        "compute_driver": "libvirt.LibvirtDriver",
        "allow_resize_to_same_host": "false",
        # A server's kernel has no ACPI daemon that would hear a polite request.
        "shutdown_timeout": "3",
        # There is no network to look at.
        "heal_instance_info_cache_interval": "0",
    }
    # Nova's services are root here: no rootwrap, and no sudo, which has another PATH.
    helper = f"{BIN}/privsep-helper --config-file {folder(work, plan.name)}/nova.conf"
    contexts = ("privsep_osbrick", "nova_sys_admin")
    return settings | {
        "libvirt": {
            "virt_type": "qemu",
            # By default QEMU emulates all that the machine's processor has; a server
            # with that crashes after a live migration.
            "cpu_mode": "custom",
            "cpu_models": "qemu64",
            "hw_machine_type": "x86_64=pc",
            "num_volume_scan_tries": "5",
            "live_migration_scheme": "tcp",
            "live_migration_inbound_addr": plan.management_address,
            # A server that writes without pause must be given the time to stop.
            "live_migration_downtime": "2000",
            "wait_soft_reboot_seconds": "5",
        },
        "vnc": {"enabled": "false"},
        "workarounds": {"skip_cpu_compare_on_dest": "true"},
        **{context: {"helper_command": helper} for context in contexts},
    }


def write_files(work: WorkFolder, passwords: Passwords, *hosts: NodePlan) -> None:
    """Write ``etc/nova``: Placement's file, the control plane's and each host's.

    Raises:
        LabError: Nova is not installed.
    """
    if not (BIN / "nova-compute").exists():
        raise LabError(
            f"Nova is not in {ENVIRONMENT}; tools/environment.py nova installs it"
        )
    etc = work.path / "etc/nova"
    (work.path / "nova" / "locks").mkdir(parents=True)
    write_settings(etc / "control/nova.conf", _control(work, passwords))
    shutil.copy(ENVIRONMENT / "etc/nova/api-paste.ini", etc / "control")
    write_settings(
        etc / "control/placement.conf",
        {
            "placement_database": {"connection": connection(passwords, PLACEMENT)},
            "keystone_authtoken": _authenticate(passwords),
        },
    )
    for plan in hosts:
        write_settings(etc / plan.name / "nova.conf", _host(work, passwords, plan))
        # A host that boots anew is to be the same one, and its own copy is lost.
        identity = str(uuid.uuid5(uuid.NAMESPACE_DNS, plan.name))
        write_private(etc / plan.name / "compute_id", identity)
    # By which the hosts reach each other when a server is resized.
    key = etc / "ssh/key"
    key.parent.mkdir()
    quiet = ["-q", "-t", "ed25519", "-N", "", "-C", "the lab's hosts"]
    subprocess.run(["ssh-keygen", *quiet, "-f", str(key)], check=True)
