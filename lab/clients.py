# SPDX-License-Identifier: Apache-2.0
"""Clients of the lab's cloud, one for each of its users."""

from typing import Any

import glanceclient
from cinderclient import client as cinderclient
from keystoneauth1.identity.v3 import Password
from keystoneauth1.service_token import ServiceTokenAuthWrapper
from keystoneauth1.session import Session

from lab.services import accounts, glance
from lab.workdir import WorkFolder

#: The newest microversion that Cinder 2025.1 to 2026.2 have.
MICROVERSION = "3.71"


class Clients:
    """Clients of a running lab.

    Any thread that calls the cloud through them must have joined the lab's network
    (``Sandbox.join_network``) before. Tokens are kept, so that a user logs in once.

    Args:
        work: the folder of the lab, which keeps the users' passwords.
    """

    def __init__(self, work: WorkFolder) -> None:
        self._passwords = accounts.load_passwords(work)
        self._sessions: dict[tuple[str, str | None], Session] = {}

    def session(self, user: str, service: str | None = None) -> Session:
        """Give a session in which ``user`` acts, in its own project.

        Args:
            user: a name of ``lab.services.accounts.USERS``.
            service: a service user whose token is sent along, as Nova does for a user
                who detaches a volume. Without it Cinder refuses to delete an
                attachment that belongs to a server.
        """
        key = (user, service)
        if key not in self._sessions:
            auth: Any = self._login(user)
            if service is not None:
                auth = ServiceTokenAuthWrapper(auth, self._login(service))
            self._sessions[key] = Session(auth=auth, timeout=300)
        return self._sessions[key]

    def volume(
        self, user: str, service: str | None = None, microversion: str = MICROVERSION
    ) -> Any:
        """Give a client of Cinder; the arguments are those of :meth:`session`."""
        return cinderclient.Client(
            microversion,
            session=self.session(user, service),
            region_name=accounts.REGION,
        )

    def image(self, user: str) -> Any:
        """Give a client of Glance, which a test has to start."""
        return glanceclient.Client(
            2, session=self.session(user), endpoint_override=glance.URL
        )

    def openrc(self, user: str) -> dict[str, str]:
        """Give the environment in which the OpenStack commands act as ``user``."""
        return accounts.openrc(user, self._passwords)

    def _login(self, user: str) -> Password:
        account = accounts.USERS[user]
        return Password(
            auth_url=accounts.AUTH_URL,
            username=account.name,
            password=self._passwords[account.name],
            user_domain_name=accounts.DOMAIN,
            project_name=account.project,
            project_domain_name=accounts.DOMAIN,
        )
