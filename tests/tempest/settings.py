# SPDX-License-Identifier: Apache-2.0
"""The configuration of tempest: what the lab's cloud has."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from lab.services import accounts
from lab.services.cinder_conf import BACKEND, PATHS_BACKEND
from lab.services.files import Settings

#: The longest that one request, or one wait for a status, may take in seconds. Nodes
#: share a processor, and many requests copy a gigabyte. What cannot pass waits as long.
_REQUEST = "300"
_STATUS = "300"
#: The same of a server, whose processor is emulated.
_SERVER = "1800"


@dataclasses.dataclass(frozen=True)
class Cloud:
    """What was made in the lab for tempest.

    Attributes:
        password: of the user ``admin``, who makes all other users.
        image: the id of an image that all may read.
        multiattach_type: the name of a volume type.
        capabilities: of one of the pools, as the scheduler knows them.
        flavors: the ids of what servers are made of, and of what they are resized to;
            None if the lab has no Nova.
    """

    password: str
    image: str
    multiattach_type: str
    capabilities: Mapping[str, str]
    flavors: tuple[str, str] | None = None


def settings(cloud: Cloud, folder: Path) -> Settings:
    """Give ``tempest.conf``; logs and locks are in ``folder``."""
    return {
        "DEFAULT": {"log_dir": str(folder), "log_file": "tempest.log"},
        "oslo_concurrency": {"lock_path": str(folder / "locks")},
        "auth": _auth(cloud),
        "identity": {
            "uri_v3": accounts.AUTH_URL,
            "region": accounts.REGION,
        },
        # What needs one that is missing skips itself.
        "service_available": {
            "cinder": "true",
            "glance": "true",
            "swift": "false",
            "nova": "true" if cloud.flavors else "false",
            # There is none, and none is made use of. But without it all classes skip
            # themselves that have a test which boots a server, also those of actions on
            # volumes, snapshots and backups.
            "neutron": "true",
        },
        "enforce_scope": {"cinder": "true", "nova": "true"},
        "service-clients": {"http_timeout": _REQUEST},
        "compute": _compute(cloud),
        "compute-feature-enabled": {
            # The retype of multi-attach types asks for it, and for no server.
            "volume_multiattach": "true",
            "resize": "true",
        },
        # Nobody could log in to a server without a network.
        "validation": {"run_validation": "false"},
        "volume": _volume(cloud),
        "volume-feature-enabled": {
            "backup": "true",
            "clone": "true",
            "snapshot": "true",
            "multi_backend": "true",
            "manage_volume": "true",
            "manage_snapshot": "true",
            "extend_volume_with_snapshot": "true",
            "volume_revert": "true",
            "concurrency_tests": "true",
            # LVM has no snapshots of several volumes at one time.
            "consistency_group": "false",
        },
    }


def _auth(cloud: Cloud) -> dict[str, str]:
    admin = accounts.USERS["admin"]
    return {
        "use_dynamic_credentials": "true",
        "create_isolated_networks": "false",
        "admin_username": admin.name,
        "admin_project_name": admin.project,
        "admin_password": cloud.password,
        "admin_domain_name": accounts.DOMAIN,
    }


def _compute(cloud: Cloud) -> dict[str, str]:
    usual, resized = cloud.flavors or ("", "")
    return {
        "image_ref": cloud.image,
        "image_ref_alt": cloud.image,
        "flavor_ref": usual,
        "flavor_ref_alt": resized,
        "build_timeout": _SERVER,
        "max_microversion": "latest",
    }


def _volume(cloud: Cloud) -> dict[str, str]:
    return {
        "build_timeout": _STATUS,
        "catalog_type": "block-storage",
        "backend_names": f"{BACKEND},{PATHS_BACKEND}",
        "vendor_name": cloud.capabilities["vendor_name"],
        "storage_protocol": cloud.capabilities["storage_protocol"],
        "volume_type_multiattach": cloud.multiattach_type,
        "backup_driver": "posix",
        # Any other format needs qemu-img on the storage node.
        "disk_format": "raw",
        "min_microversion": "3.0",
        "max_microversion": "latest",
        # Each copies a gigabyte at once with the others.
        "concurrent_resource_count": "3",
    }
