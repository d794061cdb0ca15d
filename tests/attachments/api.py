# SPDX-License-Identifier: Apache-2.0
"""The requests of Cinder's API that are about attachments, as one user of a cloud."""

import contextlib
import time
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from keystoneauth1.adapter import Adapter

#: The microversion that a request has unless it is said.
USUAL = "3.54"

#: How long a volume may take to get where it is on its way to, in seconds.
PATIENCE = 300

Row = dict[str, Any]


class RefusedError(Exception):
    """The cloud answered a request with an error.

    Attributes:
        status: HTTP's.
        words: what the answer says.
    """

    def __init__(self, request: str, status: int, words: str) -> None:
        super().__init__(f"{request} was answered with {status}: {words}")
        self.status = status
        self.words = words


class Refusal:
    """What :func:`refused` caught; its status and words are there behind the block."""

    status = 0
    words = ""


@contextlib.contextmanager
def refused(*statuses: int) -> Iterator[Refusal]:
    """See that the request in the block is refused with one of these statuses."""
    seen = Refusal()
    with pytest.raises(RefusedError) as caught:
        yield seen
    seen.status, seen.words = caught.value.status, caught.value.words
    assert seen.status in statuses, str(caught.value)


class Api:
    """Cinder's API as one user sees it.

    Args:
        adapter: of keystoneauth, for the block storage service.
    """

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter

    def call(
        self, method: str, path: str, body: Any = None, version: str = USUAL
    ) -> Row:
        """Send a request; give the answer's body, empty if it has none.

        Raises:
            RefusedError: the answer is an error.
        """
        answer = self._adapter.request(
            path,
            method,
            headers={
                "OpenStack-API-Version": f"volume {version}",
                "Accept": "application/json",
            },
            raise_exc=False,
            **({} if body is None else {"json": body}),
        )
        if answer.status_code >= 400:
            raise RefusedError(f"{method} {path}", answer.status_code, answer.text)
        return dict(answer.json()) if answer.content else {}

    @property
    def project(self) -> str:
        """The id of the user's project."""
        return str(self._adapter.get_project_id())

    # Attachments

    def create(
        self,
        volume: str,
        connector: Row | None = None,
        server: str | None = None,
        mode: str | None = None,
        version: str = USUAL,
    ) -> Row:
        """Make an attachment: reserved, or with a connector and on its way."""
        said: Row = {"volume_uuid": volume, "connector": connector}
        said |= {"instance_uuid": server} if server else {}
        said |= {"mode": mode} if mode else {}
        made = self.call("POST", "/attachments", {"attachment": said}, version)
        return dict(made["attachment"])

    def update(self, attachment: str, connector: Row, version: str = USUAL) -> Row:
        """Give an attachment its connector; the answer says how to connect."""
        body = {"attachment": {"connector": connector}}
        made = self.call("PUT", f"/attachments/{attachment}", body, version)
        return dict(made["attachment"])

    def complete(self, attachment: str, version: str = USUAL) -> None:
        """Say that the host has connected."""
        path = f"/attachments/{attachment}/action"
        self.call("POST", path, {"os-complete": None}, version)

    def delete(self, attachment: str, version: str = USUAL) -> list[Row]:
        """End an attachment; give those that the volume still has."""
        left = self.call("DELETE", f"/attachments/{attachment}", version=version)
        return list(left["attachments"])

    def show(self, attachment: str, version: str = USUAL) -> Row:
        """Give an attachment."""
        shown = self.call("GET", f"/attachments/{attachment}", version=version)
        return dict(shown["attachment"])

    def find(self, *, detail: bool = False, version: str = USUAL, **how: Any) -> Any:
        """Give attachments; ``how`` are filters and the pagination."""
        path = "/attachments/detail" if detail else "/attachments"
        found = self.call("GET", f"{path}?{urlencode(how)}", version=version)
        return found["attachments"]

    def attach(
        self,
        volume: str,
        connector: Row,
        server: str | None = None,
        mode: str | None = None,
    ) -> Row:
        """Attach a host as Nova does: reserve, update, complete; give the row."""
        reserved = self.create(volume, server=server or str(uuid.uuid4()), mode=mode)
        self.update(reserved["id"], connector)
        self.complete(reserved["id"])
        return self.show(reserved["id"])

    # Volumes

    def volume(self, volume: str) -> Row:
        """Give a volume."""
        return dict(self.call("GET", f"/volumes/{volume}")["volume"])

    def status(self, volume: str) -> str:
        """Give the status of a volume."""
        return str(self.volume(volume)["status"])

    def statuses(self, volume: str) -> tuple[str, list[str]]:
        """Give the status of a volume, and those of its attachments, in order."""
        rows = self.find(volume_id=volume)
        return self.status(volume), sorted(row["status"] for row in rows)

    def act(
        self, volume: str, action: str, said: Any = None, version: str = USUAL
    ) -> Row:
        """Send an action of a volume, such as ``os-reserve``."""
        return self.call("POST", f"/volumes/{volume}/action", {action: said}, version)

    def make_volume(self, volume_type: str) -> str:
        """Make a volume of 1 GiB, and wait until it can be used.

        One that cannot be used is deleted.
        """
        body = {"volume": {"size": 1, "volume_type": volume_type}}
        made = str(self.call("POST", "/volumes", body)["volume"]["id"])
        try:
            self.wait(made, "available", "error")
            status = self.status(made)
            assert status == "available", f"volume {made} was made, and is {status}"
        except AssertionError:
            # Cinder refuses one that is still being made; the error names it.
            with contextlib.suppress(RefusedError):
                self.call("DELETE", f"/volumes/{made}")
            raise
        return made

    def delete_volume(self, volume: str) -> None:
        """Delete a volume, and wait until it is gone."""
        self.call("DELETE", f"/volumes/{volume}")
        self.wait(volume, None)

    def wait(self, volume: str, *statuses: str | None) -> None:
        """Wait until a volume has one of the statuses; None means that it is gone."""
        self.wait_for(f"/volumes/{volume}", *statuses)

    def wait_for(self, path: str, *statuses: str | None) -> None:
        """Wait until what is at a path has one of the statuses; None: it is gone."""
        deadline = time.monotonic() + PATIENCE
        while (status := self._status_at(path)) not in statuses:
            assert time.monotonic() < deadline, (
                f"{path} is {status}, and not one of {statuses}, after {PATIENCE} s; "
                "the log of the cinder-volume that serves it may tell why"
            )
            time.sleep(0.3)

    def _status_at(self, path: str) -> str | None:
        try:
            ((_kind, shown),) = self.call("GET", path).items()
        except RefusedError as error:
            if error.status != 404:
                raise
            return None
        return str(shown["status"])
