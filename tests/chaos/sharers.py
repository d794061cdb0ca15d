# SPDX-License-Identifier: Apache-2.0
"""Servers on hosts: each attaches a volume, works with it, and lets go of it again."""

import contextlib
import dataclasses
import random
import threading
import uuid
from collections.abc import Callable
from typing import Any

from cinderclient import exceptions

from lab import attachments
from lab.cluster import Cluster
from lab.demo import USER
from lab.errors import LabError
from lab.node import Node
from tests.chaos.book import Book
from tests.chaos.guest import worker
from tests.chaos.history import Access

#: What shows a mistake of ours. A fault may raise anything else anywhere, also what a
#: node's own libraries raise, and an orchestrator that is alive tries again.
MISTAKES = (AssertionError, AttributeError, LookupError, NameError, TypeError)

#: How long a server stays, in seconds.
_STAY = (2, 12)
#: How long it rests after it let go, and after it tried in vain, in seconds.
_REST, _REST_IN_VAIN = (0, 2), (2, 6)
#: How long one tries to tidy up before it is left to the run's end, in seconds.
_PATIENCE = 180


@dataclasses.dataclass
class Stay:
    """One attachment of a server.

    Attributes:
        id: the attachment's.
        mode: ``rw`` or ``ro``.
        information: what Cinder said how to connect; None as long as it has not.
        device: what os-brick said; None as long as it is not connected.
        worker: the name and the process's id of the worker.
    """

    id: str
    mode: str
    information: dict[str, Any] | None = None
    device: dict[str, Any] | None = None
    worker: tuple[str, int] | None = None


class Sharer:
    """Whoever attaches one volume on one host.

    Args:
        cluster: where.
        book: of the run.
        node: the host.
        volume: the volume's id.
        blocks: how many of its sectors are written to.
        seed: of what it does.
    """

    def __init__(
        self,
        cluster: Cluster,
        book: Book,
        node: Node,
        volume: str,
        blocks: int,
        seed: str,
    ) -> None:
        self._cluster = cluster
        self._book = book
        self._node = node
        self._volume = volume
        self._blocks = blocks
        self._chance = random.Random(seed)  # noqa: S311 - no secret
        #: How it came and went, with how often.
        self.done: dict[str, int] = {}
        #: What it could not tidy up.
        self.left: list[Stay] = []

    @property
    def _lane(self) -> str:
        return f"{self._node.name}, volume {self._volume[:8]}"

    def live(self, stop: threading.Event) -> None:
        """Come and go until the event is set."""
        self._cluster.sandbox.join_network()
        while not stop.is_set():
            stay, rest = None, _REST
            try:
                stay = self._reserve()
                since = self._book.now()
                self._come(stay)
                stop.wait(self._chance.uniform(*_STAY))
                self._leave(stay)
                self._book.note(self._lane, f"{stay.mode} {stay.id}", since)
            except MISTAKES:
                raise
            except Exception as error:
                text = f"{type(error).__name__}: {error}".splitlines()[0][:200]
                self._book.note(self._lane, text, self._book.now(), good=False)
                self._count("in vain")
                rest = _REST_IN_VAIN
            if stay is not None and not self.tidy(stay, _PATIENCE):
                self.left.append(stay)
            stop.wait(self._chance.uniform(*rest))

    def _count(self, what: str) -> None:
        self.done[what] = self.done.get(what, 0) + 1

    def _reserve(self) -> Stay:
        mode = self._chance.choice(("rw", "rw", "ro"))
        cinder, server = self._cinder(), str(uuid.uuid4())
        return Stay(
            attachments.reserve(cinder, self._volume, server, mode, timeout=60), mode
        )

    def _come(self, stay: Stay) -> None:
        with self._node.session() as host:
            connector = host("lab.guest.host", "properties", False)
            connector["mountpoint"] = "/dev/vdb"
            writes = stay.mode == "rw"
            self._book.given(Access(stay.id, self._node.name, self._volume, writes))
            updated = self._cinder().attachments.update(stay.id, connector)
            stay.information = dict(_field(updated, "connection_info"))
            if self._chance.random() < 0.1:
                self._count("never connected")
                return
            stay.device = host("lab.guest.host", "connect", stay.information, False)
        self._cinder().attachments.complete(stay.id)
        self._count(f"attached {stay.mode}")
        self._begin_work(stay)

    def _begin_work(self, stay: Stay) -> None:
        assert stay.device is not None
        name = f"{self._node.name}-{stay.id}"
        self._book.works(name, stay.id, self._book.clock(self._node))
        task = worker.Task(
            path=stay.device["path"],
            attachment=stay.id,
            blocks=self._blocks,
            writes=0.5 if stay.mode == "rw" else 0.1,
            pause=0.02,
            seed=self._chance.getrandbits(32),
        )
        pid = self._node.call(worker.__name__, "begin", task, name)
        stay.worker = (name, pid)

    def _leave(self, stay: Stay) -> None:
        """Let go of it in one of the ways that there are."""
        ways: tuple[Callable[[Stay], None], ...] = (
            self._orderly,
            self._orderly,
            self._twice,
            self._deleted,
            self._forced,
            self._fenced,
        )
        way = self._chance.choice(ways)
        way(stay)
        self._count(way.__name__.removeprefix("_"))

    def _orderly(self, stay: Stay) -> None:
        self._end_work(stay)
        self._disconnect(stay)
        self._delete(stay)

    def _twice(self, stay: Stay) -> None:
        """Let another server of the host come and go, which it must not notice."""
        other = Stay("", stay.mode)
        cinder, server = self._cinder(), str(uuid.uuid4())
        other.id = attachments.reserve(cinder, self._volume, server, stay.mode, 60)
        try:
            connector = self._node.call("lab.guest.host", "properties", False)
            connector["mountpoint"] = "/dev/vdc"
            cinder.attachments.update(other.id, connector)
            cinder.attachments.complete(other.id)
        finally:
            self._until_deleted(other.id, _PATIENCE)
        self._orderly(stay)

    def _deleted(self, stay: Stay) -> None:
        """Delete the attachment while the host works, as an evacuation does."""
        self._delete(stay)

    def _forced(self, stay: Stay) -> None:
        """Detach it by force, as an administrator does."""
        cinder = self._cluster.clients.volume("admin", "nova")
        body = {
            "attachment_id": stay.id,
            "connector": {"initiator": self._node.plan.initiator},
        }
        self._book.giving_up(stay.id)
        cinder.volumes._action("os-force_detach", self._volume, body)
        self._book.ended(stay.id)

    def _fenced(self, stay: Stay) -> None:
        """Fence the host off by the command, which needs no API."""
        storage = self._cluster.nodes["storage"]
        self._book.giving_up(stay.id)
        status, said, complaints = storage.call(
            "tests.lab.guest.operator", "call", "fence", self._volume, self._node.name
        )
        if status:
            raise LabError(f"fence ended with {status}: {said}{complaints}")
        self._book.ended(stay.id)

    def _cinder(self) -> Any:
        return self._cluster.clients.volume(USER, "nova")

    def _end_work(self, stay: Stay, timeout: float = 20) -> None:
        if stay.worker is not None:
            name, pid = stay.worker
            self._node.call(worker.__name__, "end", pid, name, timeout)
            stay.worker = None

    def _disconnect(self, stay: Stay, *, force: bool = False) -> None:
        if stay.device is not None:
            self._node.call(
                "lab.guest.host",
                "disconnect",
                stay.information,
                stay.device,
                force=force,
            )
            stay.device = None

    def _delete(self, stay: Stay) -> None:
        self._book.giving_up(stay.id)
        with contextlib.suppress(exceptions.NotFound):
            self._cinder().attachments.delete(stay.id)
        self._book.ended(stay.id)

    def _until_deleted(self, attachment: str, timeout: float) -> bool:
        deadline = self._book.now() + timeout
        while True:
            try:
                self._cinder().attachments.delete(attachment)
            except exceptions.NotFound:
                return True
            except MISTAKES:
                raise
            except Exception:
                if self._book.now() > deadline:
                    return False
                threading.Event().wait(1)
            else:
                return True

    def tidy(self, stay: Stay, timeout: float) -> bool:
        """Take away what is left of a stay; say whether nothing is."""
        deadline = self._book.now() + timeout
        while self._book.now() < deadline:
            try:
                self._end_work(stay, timeout=2)
                self._disconnect(stay, force=True)
                self._delete(stay)
            except MISTAKES:
                raise
            except Exception:
                threading.Event().wait(1)
            else:
                return True
        return False


def _field(attachment: Any, name: str) -> Any:
    if isinstance(attachment, dict):
        return attachment[name]
    return getattr(attachment, name)
