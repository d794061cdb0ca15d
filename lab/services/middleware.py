# SPDX-License-Identifier: Apache-2.0
"""The login of the services to Keystone."""

from lab.services.accounts import AUTH_URL, DOMAIN, REGION, USERS, Passwords


def login(user: str, passwords: Passwords) -> dict[str, str]:
    """Give the options by which keystoneauth logs in as a user of ``accounts``."""
    return {
        "auth_type": "password",
        "auth_url": AUTH_URL,
        "username": user,
        "password": passwords[user],
        "user_domain_name": DOMAIN,
        "project_name": USERS[user].project,
        "project_domain_name": DOMAIN,
        "region_name": REGION,
    }
