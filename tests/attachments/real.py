# SPDX-License-Identifier: Apache-2.0
"""Does to a real volume what the model says, and compares the two."""

import uuid

from tests.attachments import model
from tests.attachments.api import Api, RefusedError
from tests.attachments.hosts import host
from tests.attachments.model import Action, State

#: What the model's requests of the older API are called.
_OLD = {action.name: f"os-{action.name}" for action in model.VOLUME_ACTIONS}


class Real:
    """A volume beside its model, available at first.

    Args:
        member: who makes the requests.
        service: who ends attachments.
        volume: its id.
        multiattach: whether it is.
    """

    def __init__(
        self, member: Api, service: Api, volume: str, *, multiattach: bool
    ) -> None:
        self._member = member
        self._service = service
        self._volume = volume
        self._attachments: list[str] = []
        self._servers: dict[str, str] = {}
        self.state = State(multiattach)

    def take(self, action: Action) -> None:
        """Send a request; see that the answer and the state are the model's."""
        before = self.state
        expected = None
        try:
            self.state = before.after(action)
        except model.RefusedError as refused:
            expected = refused.status
        status = None
        try:
            self._send(action)
        except RefusedError as error:
            status = error.status
        assert status == expected, f"{action} in {before}"
        self.compare(f"after {action} in {before}")

    def _send(self, action: Action) -> None:
        if action.name in _OLD:
            self._member.act(self._volume, _OLD[action.name])
        elif action.name == "create":
            self._create(action)
        else:
            assert action.row is not None
            attachment = self._attachments[action.row]
            if action.name == "update":
                assert action.host is not None
                self._member.update(attachment, host(action.host))
            elif action.name == "complete":
                self._member.complete(attachment)
            else:
                self._service.delete(attachment)
                del self._attachments[action.row]

    def _create(self, action: Action) -> None:
        assert action.server is not None
        server = self._servers.setdefault(action.server, str(uuid.uuid4()))
        connector = None if action.host is None else host(action.host)
        made = self._member.create(self._volume, connector, server)
        self._attachments.append(made["id"])

    def compare(self, when: str) -> None:
        """See that the volume and its attachments are in the model's state."""
        rows = {row["id"]: row for row in self._member.find(volume_id=self._volume)}
        shown = [
            (rows[name]["status"], rows[name]["instance"]) for name in self._attachments
        ]
        expected = [(row.status, self._servers[row.server]) for row in self.state.rows]
        assert len(rows) == len(expected), when
        assert shown == expected, when
        assert self._member.status(self._volume) == self.state.status, when
