# SPDX-License-Identifier: Apache-2.0
"""Fill Keystone's empty database; runs inside the lab, in one process of its own.

Each ``keystone-manage`` or ``openstack`` command costs a start of Python and its
imports; the calls that they come down to are made here in one.
"""

import os
import uuid

import keystone.server
from keystone.cmd.bootstrap import Bootstrapper
from keystone.common.provider_api import ProviderAPIs
from keystone.common.sql import upgrades

from lab.plan import CONTROL
from lab.services.accounts import AUTH_URL, REGION, USERS, Passwords, load_passwords
from lab.workdir import INSIDE, WorkFolder

_VOLUME_URL = f"http://{CONTROL}:8776/v3/%(project_id)s"

#: Both types of Cinder's service: clients up to 2024 ask for the first one only. Glance
#: is not here, since clients would ask it, and it is not up as a rule.
_VOLUME_SERVICES = {"volumev3": "cinderv3", "block-storage": "cinder"}


def _bootstrap(passwords: Passwords) -> None:
    """Do what ``keystone-manage bootstrap`` does."""
    bootstrap = Bootstrapper()
    bootstrap.admin_username = bootstrap.admin_role_name = "admin"
    bootstrap.admin_password = passwords["admin"]
    bootstrap.project_name = USERS["admin"].project
    bootstrap.region_id = REGION
    bootstrap.service_name = "keystone"
    bootstrap.public_url = AUTH_URL
    bootstrap.immutable_roles = True
    bootstrap.bootstrap()


def _projects(domain: str) -> dict[str, str]:
    """Make the projects that are missing and give the ids of all by their names."""
    resources = ProviderAPIs.resource_api
    ids = {p["name"]: p["id"] for p in resources.list_projects_in_domain(domain)}
    for name in {user.project for user in USERS.values()} - set(ids):
        ids[name] = uuid.uuid4().hex
        project = {"id": ids[name], "name": name, "domain_id": domain, "enabled": True}
        resources.create_project(ids[name], project)
    return ids


def _users(domain: str, projects: dict[str, str], passwords: Passwords) -> None:
    roles = {role["name"]: role["id"] for role in ProviderAPIs.role_api.list_roles()}
    for name in {role for user in USERS.values() for role in user.roles} - set(roles):
        roles[name] = uuid.uuid4().hex
        new = {"id": roles[name], "name": name}
        ProviderAPIs.role_api.create_role(roles[name], new)
    for user in USERS.values():
        if user.name == "admin":
            continue  # the bootstrap made it
        wanted = {
            "name": user.name,
            "password": passwords[user.name],
            "domain_id": domain,
            "enabled": True,
        }
        made = ProviderAPIs.identity_api.create_user(wanted)
        for role in user.roles:
            ProviderAPIs.assignment_api.add_role_to_user_and_project(
                made["id"], projects[user.project], roles[role]
            )


def _catalogue() -> None:
    for service_type, name in _VOLUME_SERVICES.items():
        service = {
            "id": uuid.uuid4().hex,
            "type": service_type,
            "name": name,
            "enabled": True,
        }
        ProviderAPIs.catalog_api.create_service(service["id"], service)
        endpoint = {
            "id": uuid.uuid4().hex,
            "service_id": service["id"],
            "interface": "public",
            "region_id": REGION,
            "url": _VOLUME_URL,
            "enabled": True,
        }
        ProviderAPIs.catalog_api.create_endpoint(endpoint["id"], endpoint)


def main() -> None:
    """Make the tables and everything in them."""
    passwords = load_passwords(WorkFolder(INSIDE))
    keystone.server.configure(config_files=[os.environ["OS_KEYSTONE_CONFIG_FILES"]])
    upgrades.offline_sync_database_to_version()
    _bootstrap(passwords)
    domain = keystone.conf.CONF.identity.default_domain_id
    _users(domain, _projects(domain), passwords)
    _catalogue()


if __name__ == "__main__":
    main()
