# SPDX-License-Identifier: Apache-2.0
"""The lab's accounts: the users of the cloud, and everybody's password."""

import dataclasses
import json
import secrets

from lab.plan import CONTROL
from lab.services.files import write_private
from lab.workdir import WorkFolder

AUTH_URL = f"http://{CONTROL}:5000/v3"
REGION = "lab"
DOMAIN = "Default"

#: Password by the name of a user, or of a daemon that has accounts of its own.
Passwords = dict[str, str]


@dataclasses.dataclass(frozen=True)
class User:
    """A user of the cloud and its one project."""

    name: str
    project: str
    roles: tuple[str, ...]


#: The users that act for people.
PEOPLE = (
    User("admin", "demo", ("admin",)),
    User("manager", "demo", ("manager",)),
    User("member", "demo", ("member",)),
    # For the profiles in etc/policy.d.
    User("sharer", "demo", ("member", "multiattach")),
    User("reader", "demo", ("reader",)),
    User("other", "other", ("member",)),
)
#: The users that act for services; their tokens are service tokens.
SERVICES = (
    User("cinder", "service", ("admin", "service")),
    User("nova", "service", ("admin", "service")),
    User("glance", "service", ("admin", "service")),
)
USERS = {user.name: user for user in (*PEOPLE, *SERVICES)}


def make_passwords(work: WorkFolder) -> Passwords:
    """Choose new passwords for everybody and keep them in the lab's folder."""
    names = ["mariadb", "rabbitmq", *USERS]
    passwords = {name: secrets.token_hex(16) for name in names}
    write_private(work.path / "etc/passwords.json", json.dumps(passwords, indent=1))
    return passwords


def load_passwords(work: WorkFolder) -> Passwords:
    """Give what :func:`make_passwords` chose for the lab in this folder."""
    return dict(json.loads((work.path / "etc/passwords.json").read_text()))


def openrc(user: str, passwords: Passwords) -> dict[str, str]:
    """Give the environment in which the OpenStack commands act as this user."""
    account = USERS[user]
    return {
        "OS_AUTH_URL": AUTH_URL,
        "OS_IDENTITY_API_VERSION": "3",
        "OS_USERNAME": account.name,
        "OS_PASSWORD": passwords[account.name],
        "OS_USER_DOMAIN_NAME": DOMAIN,
        "OS_PROJECT_NAME": account.project,
        "OS_PROJECT_DOMAIN_NAME": DOMAIN,
        "OS_REGION_NAME": REGION,
        # The newest that Cinder 2025.1 to 2026.2 have; attachments need 3.27 and
        # more, and the commands ask for 3.0 when they are not told.
        "OS_VOLUME_API_VERSION": "3.71",
    }


def write_openrc(work: WorkFolder, passwords: Passwords) -> None:
    """Write ``etc/openrc-USER`` for each person, to be sourced in the lab's network."""
    for user in PEOPLE:
        lines = [f"export {k}={v}\n" for k, v in openrc(user.name, passwords).items()]
        write_private(work.path / f"etc/openrc-{user.name}", "".join(lines))
