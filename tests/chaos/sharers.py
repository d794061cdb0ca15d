# SPDX-License-Identifier: Apache-2.0
"""Servers on hosts: each attaches a volume, works with it, and lets go of it again."""

import contextlib
import dataclasses
import functools
import threading
import uuid
from collections.abc import Callable
from typing import Any

from cinderclient import exceptions

from lab import attachments
from lab.demo import USER
from lab.errors import LabError
from lab.node import Node
from tests.chaos.book import Book
from tests.chaos.cluster import ChaosCluster
from tests.chaos.guest import worker
from tests.chaos.history import Access
from tests.chaos.people import Person, failure, until_done

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


class Sharer(Person):
    """Whoever attaches one volume on one host.

    Args:
        cluster, book, volume, blocks, seed: see ``Person``.
        node: the host.

    Attributes:
        left: what could not be tidied up.
    """

    def __init__(
        self,
        cluster: ChaosCluster,
        book: Book,
        volume: str,
        blocks: int,
        seed: str,
        node: Node,
    ) -> None:
        super().__init__(cluster, book, volume, blocks, seed)
        self._node = node
        self.left: list[Stay] = []

    @property
    def _lane(self) -> str:
        return f"{self._node.name}, volume {self._volume[:8]}"

    def _live(self, stop: threading.Event) -> None:
        """Come and go until the event is set."""
        # With what is left over, the host would have access without an attachment.
        while not stop.is_set() and not self.left:
            well = self.visit(stop)
            stop.wait(self._chance.uniform(*(_REST if well else _REST_IN_VAIN)))

    def visit(self, stop: threading.Event) -> bool:
        """Come and go once; say whether that went well. The event ends the stay."""
        stays: list[Stay] = []
        error = failure(functools.partial(self._stay, stays, stop))
        if error is not None:
            text = f"{type(error).__name__}: {error}".splitlines()[0][:200]
            self._book.note(self._lane, text, self._book.now(), good=False)
            self._count("in vain")
        self.left += [one for one in reversed(stays) if not self.tidy(one, _PATIENCE)]
        return error is None

    def _stay(self, stays: list[Stay], stop: threading.Event) -> None:
        """Come, work and go; ``stays`` gets what may have to be tidied up."""
        stay = self._reserve()
        stays.append(stay)
        since = self._book.now()
        self._come(stay)
        stop.wait(self._chance.uniform(*_STAY))
        self._leave(stay, stays)
        self._book.note(self._lane, f"{stay.mode} {stay.id}", since)

    def _reserve(self, mode: str = "") -> Stay:
        mode = mode or self._chance.choice(("rw", "rw", "ro"))
        cinder, server = self._cinder(), str(uuid.uuid4())
        made = attachments.reserve(cinder, self._volume, server, mode, timeout=60)
        self._book.holds(made)
        return Stay(made, mode)

    def _access(self, stay: Stay) -> Access:
        return Access(stay.id, self._node.name, self._volume, stay.mode == "rw")

    def _come(self, stay: Stay) -> None:
        with self._node.session() as host:
            connector = host("lab.guest.host", "properties", False)
            connector["mountpoint"] = "/dev/vdb"
            self._book.given(self._access(stay))
            updated = self._cinder().attachments.update(stay.id, connector)
            stay.information = dict(attachments.field(updated, "connection_info"))
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

    def _leave(self, stay: Stay, stays: list[Stay]) -> None:
        """Let go of it in one of the ways that there are."""
        ways: dict[str, Callable[[], None]] = {
            "orderly": lambda: self._orderly(stay),
            "beside another": lambda: self._beside_another(stay, stays),
            "deleted": lambda: self._delete(stay),
            "forced": lambda: self._forced(stay),
            "fenced": lambda: self._fenced(stay),
        }
        name = self._chance.choice(("orderly", *ways))
        ways[name]()
        self._count(name)

    def _orderly(self, stay: Stay) -> None:
        self._end_work(stay)
        self._disconnect(stay)
        self._delete(stay)

    def _beside_another(self, stay: Stay, stays: list[Stay]) -> None:
        """Let another server of the host come and go, which it must not notice."""
        other = self._reserve(stay.mode)
        stays.append(other)
        connector = self._node.call("lab.guest.host", "properties", False)
        connector["mountpoint"] = "/dev/vdc"
        self._book.given(self._access(other))
        self._cinder().attachments.update(other.id, connector)
        self._cinder().attachments.complete(other.id)
        self._delete(other)
        self._orderly(stay)

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
        self._book.ended(stay.id, fenced=True)

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

    def tidy(self, stay: Stay, timeout: float) -> bool:
        """Take away what is left of a stay; say whether nothing is."""

        def tidy() -> None:
            self._end_work(stay, timeout=2)
            self._disconnect(stay, force=True)
            self._delete(stay)

        done = until_done(tidy, timeout)
        if done:
            self._book.lets_go(stay.id)
        return done
